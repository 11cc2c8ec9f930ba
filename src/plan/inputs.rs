//! Owns judging the inputs that an operator gives.
