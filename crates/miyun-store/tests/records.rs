//! People, sessions, keys, audit, proposals, jobs, published figures: the same on both databases.

mod both;

use std::time::Duration;

use both::{at, both};
use miyun_core::assessment::Trace;
use miyun_core::{Assessment, Decimal, MethodVersion, Sufficiency, Verdict};
use miyun_store::{
    AuditQuery, Decision, Deed, Effect, FigureKey, JobKind, JobState, NewKey, NewPerson,
    NewProposal, NewSession, PersonId, Role, SignIn, Store, StoreError,
};

async fn somebody(store: &Store, login: &str) -> PersonId {
    let new = NewPerson {
        login: login.into(),
        name: String::new(),
        email: String::new(),
        password: Some("$argon2id$x".into()),
    };
    store.add_person(&new, at(0)).await.unwrap()
}

both!(
    /// Who held which role when, and who knew it when.
    roles_have_two_times,
    |store| {
        let p = somebody(&store, "Li.Wei").await;
        assert_eq!(store.person_by_login(" LI.WEI ").await.unwrap().unwrap().id, p);
        let grant = store
            .grant_role(&p, Role::Officer, "", (at(100), Some(at(200))), "admin", at(50))
            .await
            .unwrap();
        let roles = async |valid, known| store.grants(&p, at(valid), at(known)).await.unwrap().len();
        assert_eq!(roles(100, 100).await, 1);
        assert_eq!(roles(99, 100).await, 0, "not yet valid");
        assert_eq!(roles(200, 200).await, 0, "no longer valid");
        assert_eq!(roles(150, 49).await, 0, "nobody knew yet");
        store.revoke_role(&p, &grant, "admin", at(120)).await.unwrap();
        assert_eq!(roles(150, 130).await, 0, "taken back");
        assert_eq!(roles(150, 110).await, 1, "what was known before stays known");
        assert!(store.revoke_role(&p, &grant, "admin", at(130)).await.is_err());
        assert_eq!(store.grant_history(&p).await.unwrap().len(), 1);
        let refused = store
            .grant_role(&p, Role::Enterprise, " ", (at(0), None), "admin", at(1))
            .await;
        assert!(matches!(refused, Err(StoreError::Conflict(_))), "{refused:?}");
    }
);

both!(logins_are_one_of_a_kind, |store| {
    let p = somebody(&store, "wang").await;
    let again = NewPerson {
        login: "WANG".into(),
        name: "x".into(),
        email: String::new(),
        password: None,
    };
    assert!(matches!(
        store.add_person(&again, at(1)).await,
        Err(StoreError::Conflict(_))
    ));
    for bad in ["", " ", "a b", "a'; DROP TABLE person; --", "x\u{0}"] {
        let new = NewPerson {
            login: bad.into(),
            ..again.clone()
        };
        assert!(store.add_person(&new, at(1)).await.is_err(), "{bad:?}");
        assert!(store.person_by_login(bad).await.unwrap().is_none());
    }
    store
        .link_identity(&p, "https://id.example", "42", at(2))
        .await
        .unwrap();
    assert_eq!(
        store
            .person_by_identity("https://id.example", "42")
            .await
            .unwrap()
            .unwrap()
            .id,
        p
    );
    assert!(
        store
            .person_by_identity("https://other.example", "42")
            .await
            .unwrap()
            .is_none()
    );
    assert_eq!(store.people(1, 10).await.unwrap().0, 1);
});

both!(sessions_end, |store| {
    let p = somebody(&store, "zhao").await;
    let begin = async |digest: &str| {
        let new = NewSession {
            digest,
            person: &p,
            expires_at: at(10_000),
            address: "192.0.2.1",
            agent: "test",
        };
        store.begin_session(new, at(0)).await.unwrap();
    };
    let idle = Duration::from_secs(1_800);
    begin("d1").await;
    assert!(
        store
            .session("d1", idle, at(1_000))
            .await
            .unwrap()
            .is_some()
    );
    // The visit at 1000 counts: idle time runs from there.
    assert!(
        store
            .session("d1", idle, at(2_700))
            .await
            .unwrap()
            .is_some()
    );
    assert!(
        store
            .session("d1", idle, at(4_501))
            .await
            .unwrap()
            .is_none(),
        "idle"
    );
    begin("d2").await;
    for s in (0..10_000).step_by(1_000) {
        assert!(store.session("d2", idle, at(s)).await.unwrap().is_some());
    }
    assert!(
        store
            .session("d2", idle, at(10_000))
            .await
            .unwrap()
            .is_none(),
        "past its end"
    );
    begin("d3").await;
    store.end_session("d3", at(1)).await.unwrap();
    assert!(
        store.session("d3", idle, at(2)).await.unwrap().is_none(),
        "signed out"
    );
    begin("d4").await;
    store.set_password(&p, "new", at(3)).await.unwrap();
    assert!(
        store.session("d4", idle, at(4)).await.unwrap().is_none(),
        "new password"
    );
    begin("d5").await;
    store.disable_person(&p, at(5)).await.unwrap();
    assert!(
        store.session("d5", idle, at(6)).await.unwrap().is_none(),
        "account closed"
    );
    assert_eq!(store.sweep_sessions(at(20_000)).await.unwrap(), 5);
});

both!(a_sign_in_comes_back_once, |store| {
    let s = SignIn {
        state: "s".into(),
        nonce: "n".into(),
        verifier: "v".into(),
        back: "/zh/".into(),
        expires_at: at(600),
    };
    store.begin_sign_in(&s).await.unwrap();
    assert_eq!(
        store.take_sign_in("s", at(1)).await.unwrap(),
        Some(s.clone())
    );
    assert_eq!(store.take_sign_in("s", at(2)).await.unwrap(), None);
    store.begin_sign_in(&s).await.unwrap();
    assert_eq!(
        store.take_sign_in("s", at(600)).await.unwrap(),
        None,
        "too late"
    );
});

both!(keys_stand_for_people, |store| {
    let (p, q) = (somebody(&store, "a").await, somebody(&store, "b").await);
    let new = NewKey {
        person: &p,
        name: "export",
        digest: "k",
        scopes: &["read".to_owned(), "jobs".to_owned()],
        expires_at: at(100),
    };
    let id = store.add_key(new, at(0)).await.unwrap();
    let owner = store.key_owner("k", at(1)).await.unwrap().unwrap();
    assert_eq!(
        (owner.person.id, owner.key.scopes),
        (p.clone(), vec!["read".to_owned(), "jobs".into()])
    );
    assert!(
        store.key_owner("k", at(100)).await.unwrap().is_none(),
        "ended"
    );
    assert!(store.revoke_key(&q, &id, at(2)).await.is_err(), "not hers");
    store.revoke_key(&p, &id, at(2)).await.unwrap();
    assert!(
        store.key_owner("k", at(3)).await.unwrap().is_none(),
        "revoked"
    );
    assert_eq!(store.keys(&p).await.unwrap().len(), 1);
});

both!(the_audit_log_is_a_chain, |store| {
    for (i, action) in ["sign-in", "article-publish", "sign-out"]
        .into_iter()
        .enumerate()
    {
        let deed = Deed {
            actor: "p",
            action,
            object: "x/1",
            ..Deed::default()
        };
        assert_eq!(store.audit(&deed, at(1)).await.unwrap(), i as u64 + 1);
    }
    let q = AuditQuery {
        limit: 2,
        ..AuditQuery::default()
    };
    let newest: Vec<u64> = store
        .audit_entries(&q)
        .await
        .unwrap()
        .iter()
        .map(|e| e.seq)
        .collect();
    assert_eq!(newest, [3, 2]);
    let q = AuditQuery {
        action: Some("sign-in".into()),
        limit: 9,
        ..AuditQuery::default()
    };
    assert_eq!(store.audit_entries(&q).await.unwrap().len(), 1);
    let odd = Deed {
        actor: "\0",
        action: "a\0b",
        detail: "x",
        ..Deed::default()
    };
    assert_eq!(store.audit(&odd, at(1)).await.unwrap(), 4);
    assert_eq!(store.audit_check().await.unwrap(), None);
    // Many at once: no entry is lost and the chain holds.
    let many: Vec<_> = (0..20)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move {
                let deed = Deed {
                    actor: "p",
                    action: "read",
                    object: "y",
                    ..Deed::default()
                };
                store.audit(&deed, at(2)).await.unwrap()
            })
        })
        .collect();
    let mut seen = Vec::new();
    for m in many {
        seen.push(m.await.unwrap());
    }
    seen.sort_unstable();
    assert_eq!(seen, (5..25).collect::<Vec<u64>>());
    assert_eq!(store.audit_check().await.unwrap(), None);
});

both!(four_eyes, |store| {
    let (p, q) = (somebody(&store, "a").await, somebody(&store, "b").await);
    let payload = serde_json::json!({"role": "admin"});
    let new = NewProposal {
        kind: "role",
        object: "person/x",
        payload: &payload,
        reason: "",
        by: &p,
    };
    let id = store.propose(new, at(0)).await.unwrap();
    assert_eq!(store.proposals(true, 10).await.unwrap().len(), 1);
    let own = store
        .decide(&id, Decision::Approved, &Effect::None, &p, "", at(1))
        .await;
    assert!(matches!(own, Err(StoreError::FourEyes(_))), "{own:?}");
    let done = store
        .decide(&id, Decision::Approved, &Effect::None, &q, "seen", at(1))
        .await
        .unwrap();
    assert_eq!(
        (done.decision, done.payload),
        (Some(Decision::Approved), payload)
    );
    let twice = store
        .decide(&id, Decision::Rejected, &Effect::None, &q, "", at(2))
        .await;
    assert!(matches!(twice, Err(StoreError::Conflict(_))), "{twice:?}");
    assert!(store.proposals(true, 10).await.unwrap().is_empty());
    // What cannot take effect is not decided either.
    let nobody = Effect::Grant(PersonId::new(at(5)), Role::Admin);
    let new = NewProposal {
        kind: "admin",
        object: "person/y",
        payload: &serde_json::json!({}),
        reason: "",
        by: &p,
    };
    let id = store.propose(new, at(3)).await.unwrap();
    let none = store
        .decide(&id, Decision::Approved, &nobody, &q, "", at(4))
        .await;
    assert!(matches!(none, Err(StoreError::NotFound { .. })), "{none:?}");
    assert_eq!(store.proposals(true, 10).await.unwrap().len(), 1);
    let made = Effect::Grant(p.clone(), Role::Admin);
    store
        .decide(&id, Decision::Approved, &made, &q, "", at(4))
        .await
        .unwrap();
    assert_eq!(
        store.grants(&p, at(5), at(5)).await.unwrap()[0].role,
        Role::Admin
    );
});

both!(jobs_survive_a_restart, |store| {
    let what = JobKind::Evaluate {
        city: "linxi".into(),
        period: "2024".into(),
        edition: "all".into(),
    };
    let id = store.add_job(&what, "p", at(0)).await.unwrap();
    let second = store.add_job(&what, "p", at(1)).await.unwrap();
    let taken = store.take_job(at(2)).await.unwrap().unwrap();
    assert_eq!(
        (taken.id.clone(), taken.what, taken.attempts),
        (id.clone(), what, 1)
    );
    assert!(!store.job_progress(&id, "reading", 1, 5).await.unwrap());
    let seen = store.job(&id).await.unwrap().unwrap();
    assert_eq!(
        (seen.state, seen.done, seen.total, seen.stage.as_str()),
        (JobState::Running, 1, 5, "reading")
    );
    // The program stops and starts again, three times.
    for attempt in 2..=3 {
        assert_eq!(store.revive_jobs(at(3)).await.unwrap(), 1);
        let again = store.take_job(at(4)).await.unwrap().unwrap();
        assert_eq!((again.id, again.attempts), (id.clone(), attempt));
    }
    assert_eq!(store.revive_jobs(at(5)).await.unwrap(), 0);
    assert_eq!(
        store.job(&id).await.unwrap().unwrap().state,
        JobState::Failed
    );
    // The other one is asked to stop while it runs.
    assert_eq!(store.take_job(at(6)).await.unwrap().unwrap().id, second);
    store.cancel_job(&second, at(7)).await.unwrap();
    assert!(
        store
            .job_progress(&second, "assessing", 2, 5)
            .await
            .unwrap()
    );
    store.end_job(&second, Ok(None), at(8)).await.unwrap();
    assert_eq!(
        store.job(&second).await.unwrap().unwrap().state,
        JobState::Cancelled
    );
    assert!(matches!(
        store.cancel_job(&second, at(9)).await,
        Err(StoreError::Conflict(_))
    ));
    // A waiting one is cancelled at once; a done one keeps its result.
    let kind = JobKind::Replay {
        city: "c".into(),
        period: "2024".into(),
        from: "2012".into(),
        to: "2026".into(),
    };
    let third = store.add_job(&kind, "p", at(10)).await.unwrap();
    store.cancel_job(&third, at(11)).await.unwrap();
    assert_eq!(
        store.job(&third).await.unwrap().unwrap().state,
        JobState::Cancelled
    );
    let fourth = store.add_job(&kind, "p", at(12)).await.unwrap();
    store.take_job(at(13)).await.unwrap().unwrap();
    let result = serde_json::json!({"flips": 7});
    store
        .end_job(&fourth, Ok(Some(&result)), at(14))
        .await
        .unwrap();
    assert_eq!(
        store.job(&fourth).await.unwrap().unwrap().result,
        Some(result)
    );
    assert_eq!(store.jobs(1, 2).await.unwrap().0, 4);
    assert!(store.take_job(at(15)).await.unwrap().is_none());
});

fn assessment(id: &str, value: &str, verdict: Verdict) -> Assessment {
    Assessment {
        id: id.parse().unwrap(),
        subject: "linxi".parse().unwrap(),
        indicator: "PM2.5".parse().unwrap(),
        statistic: "annual-mean".parse().unwrap(),
        period: "2024".parse().unwrap(),
        value: Some(value.parse().unwrap()),
        value_unrounded: None,
        unit: "ug/m3".parse().unwrap(),
        sufficiency: Sufficiency::default(),
        verdict,
        limit: Some(Decimal::from(35)),
        margin: None,
        exceedance: None,
        trace: Trace {
            rules: Vec::new(),
            steps: Vec::new(),
            evidence: Vec::new(),
            method: MethodVersion {
                name: "m".into(),
                version: "1".into(),
            },
            declared: Vec::new(),
        },
    }
}

both!(
    /// A corrected figure: yesterday's value is still what was known yesterday.
    as_known_on,
    |store| {
        let first = assessment("a-1", "34.6", Verdict::Attained);
        let second = assessment("a-2", "35.2", Verdict::Exceeded);
        let key = FigureKey::of(&first, "in-force");
        assert!(store.publish_figure(&key, &first, "li", "", at(10)).await.unwrap());
        assert!(!store.publish_figure(&key, &first, "li", "", at(20)).await.unwrap(), "nothing new");
        let silent = store.publish_figure(&key, &second, "li", " ", at(30)).await;
        assert!(matches!(silent, Err(StoreError::Conflict(_))), "a correction says why: {silent:?}");
        assert!(store.publish_figure(&key, &second, "li", "station x recalibrated", at(30)).await.unwrap());
        let known = async |s| store.published(&key, Some(at(s))).await.unwrap().map(|f| f.assessment.id.to_string());
        assert_eq!(known(9).await, None);
        assert_eq!(known(10).await.as_deref(), Some("a-1"));
        assert_eq!(known(29).await.as_deref(), Some("a-1"));
        assert_eq!(known(30).await.as_deref(), Some("a-2"));
        let history = store.published_history(&key).await.unwrap();
        let d = history[0].difference(&history[1]);
        assert_eq!((d.value.unwrap().to_string(), d.verdict_changed, d.limit_changed), ("0.6".to_owned(), true, false));
        assert_eq!(store.published_by_id("a-1").await.unwrap().unwrap().published_at, at(10));
        let (total, now) = store.published_list(None, None, 1, 10).await.unwrap();
        assert_eq!((total, now.len(), now[0].assessment.id.as_str()), (1, 1, "a-2"));
        let (_, then) = store.published_list(Some(&first.subject), Some(at(15)), 1, 10).await.unwrap();
        assert_eq!(then[0].assessment.id.as_str(), "a-1");
        assert_eq!(store.published_list(None, Some(at(9)), 1, 10).await.unwrap().0, 0);
    }
);
