//! A snapshot's entries as a prolly tree of pages (`docs/format.md` 8): building, walking, and the extent trees of large files.

mod build;
mod extents;
mod walk;

pub(crate) use build::CatalogBuilder;
pub(crate) use extents::{ExtentsBuilder, for_each_extent};
pub(crate) use walk::{Cursor, Damage, Visit, is_damage, read_page_where, walk_pages};

#[cfg(test)]
mod tests;
