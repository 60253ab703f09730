use std::io::{BufRead, Write};

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use jiff::Timestamp;
use miyun_store::{Deed, GrantId, NewPerson, Person, Role, Store};
use miyun_web::auth::password;
use serde::Serialize;

use crate::config::Config;
use crate::out::{Format, Rows, print};

/// People and their roles, from the machine that holds the records.
#[derive(Subcommand)]
pub enum User {
    /// Add a person; without --password-stdin a password is made and shown once.
    ///
    /// Example: miyun user add li.wei --name 李伟 --role officer
    Add(Add),
    /// List people with their roles.
    ///
    /// Example: miyun user list --format csv
    List {
        /// How to print.
        #[arg(long, value_enum, default_value = "table")]
        format: Format,
    },
    /// Give a role: officer, enterprise, verifier, exchange, admin.
    ///
    /// Example: miyun user grant li.wei enterprise --scope party/steelworks
    Grant {
        /// Login.
        login: String,
        /// Role.
        role: Role,
        /// What it is limited to; required for enterprise and verifier.
        #[arg(long, default_value = "")]
        scope: String,
    },
    /// Take a role back, by the id that `user list` shows.
    ///
    /// Example: miyun user revoke li.wei 01ARZ3NDEKTSV4RRFFQ69G5FAV
    Revoke {
        /// Login.
        login: String,
        /// Grant.
        grant: GrantId,
    },
    /// Set a new password; every session of the person ends.
    ///
    /// Example: miyun user password li.wei
    Password {
        /// Login.
        login: String,
        /// Read it from standard input instead of making one.
        #[arg(long)]
        password_stdin: bool,
    },
    /// Let a person sign in through another provider.
    ///
    /// Example: miyun user link li.wei https://id.example.org 248289761001
    Link {
        /// Login.
        login: String,
        /// Issuer URL of the provider.
        issuer: String,
        /// The person's subject there.
        subject: String,
    },
    /// Close an account: its sessions end and its keys are revoked; its deeds stay.
    ///
    /// Example: miyun user close li.wei
    Close {
        /// Login.
        login: String,
    },
}

#[derive(Args)]
pub struct Add {
    /// Name to sign in with.
    login: String,
    /// Name to be shown; the login if not given.
    #[arg(long, default_value = "")]
    name: String,
    /// Address for messages.
    #[arg(long, default_value = "")]
    email: String,
    /// Role to give at once; may be given several times.
    #[arg(long = "role")]
    roles: Vec<Role>,
    /// What the roles are limited to.
    #[arg(long, default_value = "")]
    scope: String,
    /// Read the password from standard input instead of making one.
    #[arg(long)]
    password_stdin: bool,
}

#[derive(Serialize)]
struct Row {
    login: String,
    name: String,
    roles: Vec<String>,
    grants: Vec<String>,
    closed: bool,
}

/// A password of 20 letters and digits, without those that look alike.
fn make_password() -> String {
    const SIGNS: &[u8] = b"abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789";
    (0..20)
        .map(|_| SIGNS[rand::random_range(0..SIGNS.len())] as char)
        .collect()
}

/// The hash of a password that was given or made; a made one is shown on standard error.
fn password(stdin: bool) -> Result<String> {
    let text = if stdin {
        let mut line = String::new();
        std::io::stdin().lock().read_line(&mut line)?;
        line.trim_end_matches(['\n', '\r']).to_owned()
    } else {
        let made = make_password();
        writeln!(std::io::stderr(), "password (shown once): {made}")?;
        made
    };
    Ok(password::hash(&text)?)
}

async fn person(store: &Store, login: &str) -> Result<Person> {
    store
        .person_by_login(login)
        .await?
        .with_context(|| format!("nobody has the login {login:?}; see `miyun user list`"))
}

async fn audit(store: &Store, action: &str, object: &str, detail: &str) -> Result<()> {
    let deed = Deed {
        actor: "command line",
        action,
        object,
        detail,
        ..Deed::default()
    };
    store.audit(&deed, Timestamp::now()).await?;
    Ok(())
}

impl User {
    pub fn run(self, config: &Config) -> Result<()> {
        tokio::runtime::Runtime::new()?.block_on(async {
            if let Some(dir) = config.lake.parent().filter(|_| config.records.is_none()) {
                std::fs::create_dir_all(dir.join(&config.lake))
                    .with_context(|| config.lake.display().to_string())?;
            }
            let store = Store::open(&config.records_url()).await?;
            let done = self.act(&store).await;
            store.close().await;
            done
        })
    }

    async fn act(self, store: &Store) -> Result<()> {
        let at = Timestamp::now();
        match self {
            Self::Add(a) => {
                if store.person_by_login(&a.login).await?.is_some() {
                    bail!("login {:?} is taken", a.login);
                }
                let new = NewPerson {
                    login: a.login,
                    name: a.name,
                    email: a.email,
                    password: Some(password(a.password_stdin)?),
                };
                let id = store.add_person(&new, at).await?;
                audit(store, "person-add", &format!("person/{id}"), &new.login).await?;
                for role in a.roles {
                    store
                        .grant_role(&id, role, &a.scope, (at, None), "command line", at)
                        .await?;
                    audit(store, "role-give", &format!("person/{id}"), role.as_str()).await?;
                }
                eprintln!("added {}", new.login.to_lowercase());
            }
            Self::List { format } => {
                let (_, people) = store.people(1, 100_000).await?;
                let mut rows = Vec::new();
                for p in people {
                    let grants = store.grants(&p.id, at, at).await?;
                    rows.push(Row {
                        login: p.login,
                        name: p.name,
                        roles: grants
                            .iter()
                            .map(|g| {
                                if g.scope.is_empty() {
                                    g.role.to_string()
                                } else {
                                    format!("{} ({})", g.role, g.scope)
                                }
                            })
                            .collect(),
                        grants: grants.iter().map(|g| g.id.to_string()).collect(),
                        closed: p.disabled_at.is_some(),
                    });
                }
                return print(format, &rows, || {
                    let mut t = Rows::new(&["login", "name", "roles", "grants", "closed"]);
                    for r in &rows {
                        t.push(vec![
                            r.login.clone(),
                            r.name.clone(),
                            r.roles.join(", "),
                            r.grants.join(" "),
                            r.closed.to_string(),
                        ]);
                    }
                    t
                });
            }
            Self::Grant { login, role, scope } => {
                let p = person(store, &login).await?;
                store
                    .grant_role(&p.id, role, &scope, (at, None), "command line", at)
                    .await?;
                audit(
                    store,
                    "role-give",
                    &format!("person/{}", p.id),
                    role.as_str(),
                )
                .await?;
                eprintln!("{login} is now {role}");
            }
            Self::Revoke { login, grant } => {
                let p = person(store, &login).await?;
                store.revoke_role(&p.id, &grant, "command line", at).await?;
                audit(
                    store,
                    "role-take",
                    &format!("person/{}", p.id),
                    grant.as_str(),
                )
                .await?;
                eprintln!("taken back");
            }
            Self::Password {
                login,
                password_stdin,
            } => {
                let p = person(store, &login).await?;
                store
                    .set_password(&p.id, &password(password_stdin)?, at)
                    .await?;
                audit(store, "password-change", &format!("person/{}", p.id), "").await?;
                eprintln!("set; every session of {login} has ended");
            }
            Self::Link {
                login,
                issuer,
                subject,
            } => {
                let p = person(store, &login).await?;
                store.link_identity(&p.id, &issuer, &subject, at).await?;
                audit(store, "person-link", &format!("person/{}", p.id), &issuer).await?;
                eprintln!("linked");
            }
            Self::Close { login } => {
                let p = person(store, &login).await?;
                store.disable_person(&p.id, at).await?;
                audit(store, "person-close", &format!("person/{}", p.id), "").await?;
                eprintln!("closed");
            }
        }
        Ok(())
    }
}
