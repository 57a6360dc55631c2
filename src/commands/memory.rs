//! (being written by a colleague: branch info)
