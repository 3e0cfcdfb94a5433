//! Which pages there are, and who may see each: one table, from which the routes, the navigation and the tests are made.

pub mod account;
pub mod address;
pub mod assets;
pub mod certificate;
pub mod disks;
pub mod emergency;
pub mod frame;
pub mod front;
pub mod help;
pub mod incidents;
pub mod keys;
pub mod log;
pub mod offsite;
pub mod passkeys;
pub mod people;
pub mod policies;
mod qr;
pub mod restore;
pub mod runs;
pub mod settings;
pub mod setup;
pub mod shares;
pub mod sign_in;
pub mod tokens;
pub mod trouble;

use std::sync::Arc;

use axum::Router;
use axum::routing::{MethodRouter, get, post};
use keepwell_api::grants::Role;

use crate::app::App;
use crate::{api, downtime, guard, live};

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
const RUNNING: Who = Who::Roles(&[Owner, Operator, Technician]);
const LOOKING: Who = Who::Roles(&[Owner, Operator, Technician, Auditor]);
const DECIDING: Who = Who::Roles(&[Owner, Operator]);
const GUARDING: Who = Who::Roles(&[Owner, Security]);
const READING: Who = Who::Roles(&[Owner, Security, Auditor]);
const TAKING: Who = Who::Roles(&[Owner, Operator, Technician, Security]);
const RESCUING: Who = Who::Roles(&[Owner, Operator, Security]);
const OWNING: Who = Who::Roles(&[Owner]);
const RESTORING: Who = Who::Roles(&[Owner, Operator, RestoreOnly]);

/// All pages.
pub const PAGES: &[Page] = &[
    Page { path: "/", who: ALL, routes: || get(front::page) },
    Page { path: "/sign-in", who: Who::Anybody, routes: || get(sign_in::page).post(sign_in::sign_in) },
    Page { path: "/sign-out", who: Who::Anybody, routes: || post(sign_in::sign_out) },
    Page { path: "/shares", who: RUNNING, routes: || get(shares::list) },
    Page { path: "/shares/add", who: DECIDING, routes: || get(shares::add_form).post(shares::add) },
    Page { path: "/shares/{id}", who: RUNNING, routes: || get(shares::one) },
    Page { path: "/shares/{id}/run", who: RUNNING, routes: || post(shares::run) },
    Page { path: "/shares/{id}/pause", who: DECIDING, routes: || post(shares::pause) },
    Page { path: "/shares/{id}/change", who: DECIDING, routes: || post(shares::change) },
    Page { path: "/shares/{id}/remove", who: DECIDING, routes: || get(shares::remove_form).post(shares::remove) },
    Page { path: "/runs/{id}", who: LOOKING, routes: || get(runs::page) },
    Page { path: "/runs/{id}/cancel", who: RUNNING, routes: || post(runs::cancel) },
    Page { path: "/restore", who: RESTORING, routes: || get(restore::start::page) },
    Page { path: "/restore/test", who: DECIDING, routes: || post(restore::start::test) },
    Page { path: "/restore/drafts", who: RESTORING, routes: || post(restore::start::begin) },
    Page { path: "/restore/drafts/{id}/when", who: RESTORING, routes: || get(restore::calendar::page).post(restore::calendar::choose) },
    Page { path: "/restore/drafts/{id}/compare", who: RESTORING, routes: || get(restore::compare::page) },
    Page { path: "/restore/drafts/{id}/what", who: RESTORING, routes: || get(restore::browse::folder) },
    Page { path: "/restore/drafts/{id}/search", who: RESTORING, routes: || post(restore::browse::search) },
    Page { path: "/restore/drafts/{id}/found", who: RESTORING, routes: || get(restore::browse::found) },
    Page { path: "/restore/drafts/{id}/versions", who: RESTORING, routes: || get(restore::browse::versions) },
    Page { path: "/restore/drafts/{id}/choose", who: RESTORING, routes: || post(restore::browse::choose) },
    Page { path: "/restore/drafts/{id}/where", who: RESTORING, routes: || get(restore::place::page) },
    Page { path: "/restore/drafts/{id}/download", who: RESTORING, routes: || post(restore::download::send) },
    Page { path: "/restore/drafts/{id}/check", who: RESTORING, routes: || get(restore::place::checked).post(restore::place::check) },
    Page { path: "/restore/drafts/{id}/begin", who: RESTORING, routes: || post(restore::place::begin) },
    Page { path: "/restore/jobs/{id}", who: RESTORING, routes: || get(restore::job::page) },
    Page { path: "/restore/jobs/{id}/resume", who: RESTORING, routes: || post(restore::job::resume) },
    Page { path: "/restore/jobs/{id}/cancel", who: RESTORING, routes: || post(restore::job::cancel) },
    Page { path: "/incidents", who: TAKING, routes: || get(incidents::page) },
    Page { path: "/incidents/{id}/take", who: TAKING, routes: || post(incidents::take) },
    Page { path: "/emergency", who: RESCUING, routes: || get(emergency::page) },
    Page { path: "/emergency/open", who: GUARDING, routes: || post(emergency::open) },
    Page { path: "/emergency/close", who: RESCUING, routes: || post(emergency::close) },
    Page { path: "/emergency/freeze", who: RESCUING, routes: || post(emergency::freeze) },
    Page { path: "/emergency/thaw", who: GUARDING, routes: || post(emergency::thaw) },
    Page { path: "/disks", who: RUNNING, routes: || get(disks::page) },
    Page { path: "/disks/act", who: RUNNING, routes: || get(disks::acts::page) },
    Page { path: "/disks/locate", who: RUNNING, routes: || post(disks::acts::locate) },
    Page { path: "/disks/self-test", who: RUNNING, routes: || post(disks::acts::test) },
    Page { path: "/disks/add", who: DECIDING, routes: || post(disks::acts::add) },
    Page { path: "/disks/remove", who: DECIDING, routes: || post(disks::acts::remove) },
    Page { path: "/offsite", who: LOOKING, routes: || get(offsite::page) },
    Page { path: "/offsite/sheet", who: LOOKING, routes: || get(offsite::sheet::page) },
    Page { path: "/offsite/send", who: RUNNING, routes: || post(offsite::acts::send) },
    Page { path: "/offsite/line", who: OWNING, routes: || post(offsite::line::change) },
    Page { path: "/offsite/invite", who: OWNING, routes: || get(offsite::acts::invite_form).post(offsite::acts::invite) },
    Page { path: "/offsite/pair", who: OWNING, routes: || get(offsite::acts::pair_form).post(offsite::acts::pair) },
    Page { path: "/keys", who: GUARDING, routes: || get(keys::page) },
    Page { path: "/people", who: GUARDING, routes: || get(people::page) },
    Page { path: "/people/add", who: OWNING, routes: || post(people::add) },
    Page { path: "/people/seal", who: OWNING, routes: || post(tokens::seal) },
    Page { path: "/people/tokens", who: OWNING, routes: || post(tokens::make) },
    Page { path: "/people/tokens/revoke", who: OWNING, routes: || post(tokens::revoke) },
    Page { path: "/people/{verb}", who: OWNING, routes: || post(people::change) },
    Page { path: "/policies", who: DECIDING, routes: || get(policies::page).post(policies::change) },
    Page { path: "/log", who: READING, routes: || get(log::page).post(log::search) },
    Page { path: "/settings", who: RUNNING, routes: || get(settings::page) },
    Page { path: "/settings/channel", who: RUNNING, routes: || post(settings::channel) },
    Page { path: "/settings/call", who: OWNING, routes: || post(settings::call) },
    Page { path: "/settings/certificate", who: OWNING, routes: || get(certificate::page).post(certificate::change) },
    Page { path: "/settings/clock", who: RUNNING, routes: || post(settings::clock) },
    Page { path: "/settings/bundle", who: RUNNING, routes: || post(settings::bundle) },
    Page { path: "/setup", who: OWNING, routes: || get(setup::page) },
    Page { path: "/setup/network", who: OWNING, routes: || get(setup::network) },
    Page { path: "/setup/disks", who: OWNING, routes: || get(setup::disks::page).post(setup::disks::make) },
    Page { path: "/setup/share", who: OWNING, routes: || get(setup::share) },
    Page { path: "/setup/backup", who: OWNING, routes: || get(setup::backup::page).post(setup::backup::begin) },
    Page { path: "/setup/restore", who: OWNING, routes: || get(setup::restore::page) },
    Page { path: "/setup/restore/file", who: OWNING, routes: || post(setup::restore::take) },
    Page { path: "/setup/restore/another", who: OWNING, routes: || post(setup::restore::another) },
    Page { path: "/setup/restore/test", who: OWNING, routes: || post(setup::restore::test) },
    Page { path: "/setup/kit", who: OWNING, routes: || get(setup::kit::page) },
    Page { path: "/setup/kit/print", who: OWNING, routes: || post(setup::kit::print) },
    Page { path: "/setup/kit/confirm", who: OWNING, routes: || post(setup::kit::confirm) },
    Page { path: "/setup/kit/again", who: OWNING, routes: || post(setup::kit::again) },
    Page { path: "/setup/peer", who: OWNING, routes: || get(setup::peer) },
    Page { path: "/help", who: ALL, routes: || get(help::page) },
    Page { path: "/account", who: ALL, routes: || get(account::page) },
    Page { path: "/account/password", who: ALL, routes: || post(account::change_password) },
    Page { path: "/account/factor", who: ALL, routes: || post(account::change_factor) },
    Page { path: "/account/authenticator", who: ALL, routes: || post(account::confirm_authenticator) },
    Page { path: "/account/passkeys", who: ALL, routes: || post(passkeys::begin) },
    Page { path: "/account/passkeys/add", who: ALL, routes: || post(passkeys::add) },
    Page { path: "/account/passkeys/rename", who: ALL, routes: || post(passkeys::rename) },
    Page { path: "/account/passkeys/remove", who: ALL, routes: || post(passkeys::remove) },
    Page { path: "/enrol", who: Who::Anybody, routes: || get(account::enrol_form).post(account::enrol) },
    Page { path: "/claim", who: Who::Anybody, routes: || get(account::claim_form).post(account::claim) },
    Page { path: "/authority.pem", who: Who::Anybody, routes: || get(help::authority) },
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
    let programs = api::routes(Arc::clone(&app)).merge(downtime::routes(Arc::clone(&app)));
    let guarded = axum::middleware::from_fn_with_state(app, guard::guard);
    routes.fallback(|| async { axum::http::StatusCode::NOT_FOUND }).layer(guarded).merge(programs)
}

impl Page {
    /// For whoever checks the table from outside: `roles` is null where nobody has to be signed in.
    pub fn told(&self) -> serde_json::Value {
        let roles = match self.who {
            Who::Asset | Who::Anybody => None,
            Who::Roles(roles) => Some(roles.iter().map(ToString::to_string).collect::<Vec<_>>()),
        };
        serde_json::json!({ "path": self.path, "roles": roles })
    }

    /// Whether somebody of this role may see it.
    pub fn is_for(&self, role: Role) -> bool {
        match self.who {
            Who::Asset | Who::Anybody => true,
            Who::Roles(roles) => roles.contains(&role),
        }
    }
}
