//! Which pages there are, and who may see each: one table, from which the routes, the navigation and the tests are made.

pub mod assets;
pub mod frame;
pub mod front;
pub mod restore;
pub mod sign_in;
pub mod trouble;

use std::sync::Arc;

use axum::Router;
use axum::routing::{MethodRouter, get, post};
use keepwell_api::grants::Role;

use crate::app::App;
use crate::{guard, live};

/// Who may see a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// Style, script: nobody is even looked for.
    Asset,
    /// Signed in or not.
    Anybody,
    /// Who is signed in and has one of these roles.
    Roles(&'static [Role]),
}

/// A page, or what is done from one.
#[derive(Debug)]
pub struct Page {
    /// Its route.
    pub path: &'static str,
    /// Who may see it.
    pub who: Who,
    /// What answers.
    routes: fn() -> MethodRouter,
}

use Role::{Auditor, Operator, Owner, RestoreOnly, Security, Technician};

const ALL: Who = Who::Roles(Role::ALL);

/// All pages.
pub const PAGES: &[Page] = &[
    Page { path: "/", who: ALL, routes: || get(front::page) },
    Page { path: "/sign-in", who: Who::Anybody, routes: || get(sign_in::page).post(sign_in::sign_in) },
    Page { path: "/sign-out", who: Who::Anybody, routes: || post(sign_in::sign_out) },
    Page { path: "/live", who: ALL, routes: || get(live::stream) },
    Page { path: "/assets/{file}", who: Who::Asset, routes: || get(assets::file) },
];

/// The page at this route.
pub fn find(route: &str) -> Option<&'static Page> {
    PAGES.iter().find(|page| page.path == route)
}

/// All routes, guarded.
pub fn routes(app: Arc<App>) -> Router {
    let routes = PAGES.iter().fold(Router::new(), |routes, page| routes.route(page.path, (page.routes)()));
    let guarded = axum::middleware::from_fn_with_state(app, guard::guard);
    routes.fallback(|| async { axum::http::StatusCode::NOT_FOUND }).layer(guarded)
}

impl Page {
    /// Whether somebody of this role may see it.
    pub fn is_for(&self, role: Role) -> bool {
        match self.who {
            Who::Asset | Who::Anybody => true,
            Who::Roles(roles) => roles.contains(&role),
        }
    }
}
