//! Owns reporters: events to output for people and programs.
