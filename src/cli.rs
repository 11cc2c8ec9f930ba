//! Owns arguments, environment and exit codes; puts it all together.
