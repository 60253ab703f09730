//! The whole platform over a real socket: roles, attacks, jobs, sign-in elsewhere, the API's
//! document. One program, so that it is linked once.

mod api;
mod attack;
mod client;
mod jobs;
mod oidc;
mod pictures;
mod roles;
