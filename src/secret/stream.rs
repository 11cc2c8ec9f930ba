//! placeholder
pub struct MaskStream {}
pub struct MaskWriter<W>(pub W);
