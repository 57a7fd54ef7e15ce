//! The Kubernetes API over loopback HTTP, on top of the store.
