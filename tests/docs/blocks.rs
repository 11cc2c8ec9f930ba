//! Owns finding the fenced blocks of a document.

use std::path::PathBuf;

/// A fenced block: ```` ```info ````, its lines, ```` ``` ````.
pub struct Block {
    pub document: String,
    /// Line of the opening fence, 1-based.
    pub line: usize,
    pub info: String,
    pub text: String,
}

impl Block {
    /// For messages.
    pub fn place(&self) -> String {
        format!("{}:{}", self.document, self.line)
    }

    /// The words after the language, such as `steps` of `yaml steps`.
    pub fn words(&self) -> Vec<&str> {
        self.info.split_whitespace().skip(1).collect()
    }
}

pub fn path(document: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(document)
}

pub fn text(document: &str) -> String {
    std::fs::read_to_string(path(document)).unwrap()
}

pub fn blocks(document: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for (index, line) in text(document).lines().enumerate() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(info)) => {
                let (document, info) = (document.to_string(), info.to_string());
                open = Some(Block { document, line: index + 1, info, text: String::new() });
            }
            (Some(_), Some("")) => blocks.extend(open.take()),
            (Some(block), _) => {
                block.text.push_str(line);
                block.text.push('\n');
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "{document}: a block is not closed");
    blocks
}

/// The blocks of YAML; each says what it is.
pub fn yaml_blocks(document: &str, kinds: &[&str]) -> Vec<Block> {
    let blocks: Vec<Block> = blocks(document).into_iter().filter(|block| block.info.starts_with("yaml")).collect();
    for block in &blocks {
        let kind = block.words().first().copied().unwrap_or_default();
        assert!(kinds.contains(&kind), "{}: a YAML block is one of {kinds:?}, not `{kind}`", block.place());
    }
    blocks
}
