//! Peers against a counterpart of a few strings.
