//! Rules against URLs, names and files; properties against a simple matcher.
