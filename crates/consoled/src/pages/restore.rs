//! Getting files back, step by step.

pub mod draft;
