//! hopclock
