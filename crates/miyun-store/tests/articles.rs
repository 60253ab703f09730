//! Articles: four eyes, versions, tombstones, search, likes, collections, on both databases.

mod both;

use both::{at, both};
use miyun_core::Text;
use miyun_core::text::Lang;
use miyun_store::{
    ArticleContent, ArticleId, ArticleQuery, ArticleText, ClauseLink, LegalStatus, LikeOutcome,
    MediaId, NewPerson, NewRendition, Order, PersonId, Picture, Store, StoreError, TextStatus,
    VISITOR_LIKES_PER_PREFIX_MAX, VersionState,
};

async fn two(store: &Store) -> (PersonId, PersonId) {
    let mut ids = Vec::new();
    for login in ["writer", "reader"] {
        let new = NewPerson {
            login: login.into(),
            name: login.into(),
            email: String::new(),
            password: None,
        };
        ids.push(store.add_person(&new, at(0)).await.unwrap());
    }
    (ids.remove(0), ids.remove(0))
}

fn content(title: &str, body: &str, day: i64) -> ArticleContent {
    ArticleContent {
        texts: vec![ArticleText {
            lang: Lang::Zh,
            title: title.into(),
            summary: String::new(),
            body: body.into(),
            status: TextStatus::Original,
        }],
        source: Text::new("北京市人民政府", "Beijing Municipal Government"),
        publisher: Text::new("密云", "Miyun"),
        released_at: at(day * 86_400),
        issued_on: None,
        effective_from: None,
        effective_until: None,
        status: LegalStatus::InForce,
        regions: vec!["CN/11".into()],
        topics: vec!["air".into()],
        audience: "public".into(),
        document_number: None,
        index_number: None,
        picture: None,
        attachments: Vec::new(),
        clauses: 3,
        links: Vec::new(),
    }
}

async fn publish(store: &Store, who: &(PersonId, PersonId), c: &ArticleContent) -> ArticleId {
    let (id, _) = store
        .save_draft(None, c, "first", &who.0, at(1))
        .await
        .unwrap();
    store.propose_article(&id, &who.0, at(2)).await.unwrap();
    store
        .decide_article(&id, true, "", &who.1, at(3))
        .await
        .unwrap();
    id
}

both!(two_people_publish, |store| {
    let (writer, reader) = two(&store).await;
    let c = content("标题", "正文", 0);
    let (id, n) = store
        .save_draft(None, &c, "first", &writer, at(1))
        .await
        .unwrap();
    assert_eq!(n, 1);
    // Saved again by the other one: the same draft, and both are now its editors.
    let again = store
        .save_draft(Some(&id), &content("标题", "正文二", 0), "", &reader, at(2))
        .await
        .unwrap();
    assert_eq!(again, (id.clone(), 1));
    assert!(
        store
            .decide_article(&id, true, "", &reader, at(3))
            .await
            .is_err(),
        "not proposed"
    );
    store.propose_article(&id, &writer, at(3)).await.unwrap();
    for who in [&writer, &reader] {
        let own = store.decide_article(&id, true, "", who, at(4)).await;
        assert!(
            matches!(own, Err(StoreError::FourEyes(_))),
            "both edited it: {own:?}"
        );
    }
    assert!(matches!(
        store.save_draft(Some(&id), &c, "", &writer, at(4)).await,
        Err(StoreError::Conflict(_))
    ));
    assert!(
        store.article(&id).await.unwrap().unwrap().current.is_none(),
        "not public yet"
    );
    assert_eq!(store.article_drafts().await.unwrap().len(), 1);
});

both!(versions_and_tombstone, |store| {
    let who = two(&store).await;
    let mut c = content("大气行动计划", "一、总体要求", 0);
    c.document_number = Some("临政发〔2024〕4号".into());
    c.links = vec![ClauseLink {
        anchor: "s1".into(),
        measure: "linxi-sim/1".parse().unwrap(),
    }];
    let id = publish(&store, &who, &c).await;
    assert_eq!(
        store.article_by_number("临政发〔2024〕4号").await.unwrap(),
        Some(id.clone())
    );
    let links = store
        .links_of_measure(&"linxi-sim/1".parse().unwrap(), None)
        .await
        .unwrap();
    assert_eq!(
        (links[0].article.clone(), links[0].anchor.as_str()),
        (id.clone(), "s1")
    );
    // The next version opens beside the published one, which stays as it is.
    let changed = content("大气行动计划", "一、总体要求（修订）", 0);
    let (_, n) = store
        .save_draft(Some(&id), &changed, "clause 1", &who.0, at(10))
        .await
        .unwrap();
    assert_eq!(n, 2);
    store.propose_article(&id, &who.0, at(11)).await.unwrap();
    store
        .decide_article(&id, false, "unclear", &who.1, at(12))
        .await
        .unwrap();
    assert_eq!(
        store
            .article(&id)
            .await
            .unwrap()
            .unwrap()
            .current
            .unwrap()
            .version,
        1
    );
    let (_, n) = store
        .save_draft(Some(&id), &changed, "clause 1", &who.0, at(13))
        .await
        .unwrap();
    assert_eq!(n, 3, "what was sent back stays on record");
    store.propose_article(&id, &who.0, at(14)).await.unwrap();
    store
        .decide_article(&id, true, "", &who.1, at(15))
        .await
        .unwrap();
    let states: Vec<VersionState> = store
        .article_versions(&id)
        .await
        .unwrap()
        .iter()
        .map(|v| v.state)
        .collect();
    assert_eq!(
        states,
        [
            VersionState::Published,
            VersionState::Rejected,
            VersionState::Published
        ]
    );
    let old = store.article_version(&id, 1).await.unwrap().unwrap();
    assert_eq!(old.content.texts[0].body, "一、总体要求");
    assert_eq!(
        store.article_by_number("临政发〔2024〕4号").await.unwrap(),
        None,
        "the new version has none"
    );
    // As known then: lists, search, facets and links say what the version of that moment said.
    let then = async |text: &str, known: Option<i64>| {
        let q = ArticleQuery {
            text: Some(text.into()).filter(|t: &String| !t.is_empty()),
            known: known.map(at),
            ..ArticleQuery::default()
        };
        let page = store.find_articles(&q).await.unwrap();
        let version = |h: &miyun_store::Hit| h.article.current.as_ref().map_or(0, |v| v.version);
        page.hits.iter().map(version).collect::<Vec<u32>>()
    };
    let all = async |text: &str| {
        let mut out = Vec::new();
        for known in [Some(2), Some(3), Some(14), Some(15), None] {
            out.push(then(text, known).await);
        }
        out
    };
    for _ in 0..2 {
        assert_eq!(all("").await, [vec![], vec![1], vec![1], vec![3], vec![3]]);
        assert_eq!(all("总体要求").await, all("").await);
        assert_eq!(
            all("修订").await,
            [vec![], vec![], vec![], vec![3], vec![3]]
        );
        for (known, n) in [(at(14), 1), (at(15), 0)] {
            let links = store
                .links_of_measure(&"linxi-sim/1".parse().unwrap(), Some(known))
                .await
                .unwrap();
            assert_eq!(links.len(), n, "known at {known}");
        }
        // Made again from the versions, it says the same.
        assert_eq!(store.reindex_articles().await.unwrap(), 2);
    }
    // Withdrawn: gone from lists, still reachable, never edited again.
    assert!(
        store
            .withdraw_article(&id, " ", &who.0, at(16))
            .await
            .is_err()
    );
    store
        .withdraw_article(&id, "published by mistake", &who.0, at(16))
        .await
        .unwrap();
    let a = store.article(&id).await.unwrap().unwrap();
    assert_eq!(a.tombstone.unwrap().reason, "published by mistake");
    assert!(a.current.is_some());
    assert_eq!(
        store
            .find_articles(&ArticleQuery::default())
            .await
            .unwrap()
            .total,
        0
    );
    assert!(
        store
            .save_draft(Some(&id), &changed, "", &who.0, at(17))
            .await
            .is_err()
    );
    assert!(store.like(&id, &who.0, at(18)).await.is_err());
});

/// Texts of which each query below is in one.
const TEXTS: [(&str, &str); 5] = [
    (
        "深入打好大气污染防治攻坚战",
        "推进 PM2.5 与臭氧协同控制，开展一微克行动。",
    ),
    ("碳市场配额管理办法", "重点排放单位应当按时清缴配额。"),
    (
        "能耗双控转向碳排放双控",
        "建立总量和强度双控制度，推进减污降碳协同增效。",
    ),
    ("固定污染源排污许可", "污染源应当持证排污，按证排污。"),
    (
        "生态产品价值核算",
        "调节服务类生态产品总值 GEP-R 稳步提升，水库消落区得到修复。",
    ),
];

both!(
    /// The queries that the built-in tokenizers miss (two characters) and others.
    chinese_search,
    |store| {
        let who = two(&store).await;
        let mut ids = Vec::new();
        for (i, (title, body)) in TEXTS.iter().enumerate() {
            ids.push(publish(&store, &who, &content(title, body, i as i64)).await);
        }
        let find = async |q: &str| {
            let query = ArticleQuery { text: Some(q.into()), order: Order::Relevance, per_page: 10, ..ArticleQuery::default() };
            store.find_articles(&query).await.unwrap()
        };
        for (q, k) in [
            ("大气", 0), ("臭氧", 0), ("一微克", 0), ("PM2.5", 0), ("pm2.5 臭氧", 0), ("配额", 1), ("清缴", 1),
            ("双控", 2), ("碳排放", 2), ("减污降碳", 2), ("排污许可", 3), ("污染源", 3), ("持证排污", 3),
            ("GEP", 4), ("gep-r", 4), ("消落区", 4), ("调节服务", 4),
        ] {
            let page = find(q).await;
            assert!(
                page.hits.first().is_some_and(|h| h.article.id == ids[k]),
                "{q}: {:?}",
                page.hits.iter().map(|h| h.article.current.as_ref().unwrap().content.texts[0].title.clone()).collect::<Vec<_>>()
            );
            assert!(page.hits[0].snippet.iter().any(|s| s.0) || TEXTS[k].0.to_lowercase().contains(&q.to_lowercase()), "{q} is marked");
        }
        for q in ["噪声", "xyzzy", "a\0b", "'; DROP TABLE article; --", "\" OR \"", "%", "NEAR(", "大气 AND 噪声", "!&|()'"] {
            assert_eq!(find(q).await.total, 0, "{q}");
        }
        assert_eq!(find("   ").await.total, 5, "no words: everything");
    }
);

both!(filters_and_facets, |store| {
    let who = two(&store).await;
    for i in 0..5i64 {
        let mut c = content(&format!("文章 {i}"), "正文", i);
        c.regions = vec![if i % 2 == 0 { "CN/11/0105" } else { "CN/12" }.into()];
        c.topics = vec![if i < 2 { "air" } else { "water" }.into()];
        if i == 4 {
            c.source = Text::new("市水务局", "Water Authority");
        }
        publish(&store, &who, &c).await;
    }
    let total = async |q: ArticleQuery| store.find_articles(&q).await.unwrap().total;
    let all = ArticleQuery {
        per_page: 2,
        ..ArticleQuery::default()
    };
    let page = store.find_articles(&all).await.unwrap();
    assert_eq!((page.total, page.hits.len()), (5, 2));
    assert!(
        page.hits[0].article.current.as_ref().unwrap().content.texts[0]
            .title
            .ends_with('4'),
        "latest first"
    );
    let last = store
        .find_articles(&ArticleQuery {
            page: 3,
            ..all.clone()
        })
        .await
        .unwrap();
    assert_eq!(last.hits.len(), 1);
    let counts: Vec<(&str, u64)> = page
        .facets
        .region
        .iter()
        .map(|f| (f.value.as_str(), f.count))
        .collect();
    assert_eq!(
        counts,
        [("CN", 5), ("CN/11", 3), ("CN/11/0105", 3), ("CN/12", 2)]
    );
    assert_eq!(page.facets.source[0].also, "Beijing Municipal Government");
    let some = |t: &str| Some(t.to_owned());
    assert_eq!(
        total(ArticleQuery {
            region: some("CN/11"),
            ..all.clone()
        })
        .await,
        3
    );
    assert_eq!(
        total(ArticleQuery {
            region: some("CN/1"),
            ..all.clone()
        })
        .await,
        0
    );
    assert_eq!(
        total(ArticleQuery {
            topic: some("water"),
            region: some("CN/12"),
            ..all.clone()
        })
        .await,
        1
    );
    assert_eq!(
        total(ArticleQuery {
            source: some("Water Authority"),
            ..all.clone()
        })
        .await,
        1
    );
    assert_eq!(
        total(ArticleQuery {
            source: some("市水务局"),
            ..all.clone()
        })
        .await,
        1
    );
    assert_eq!(
        total(ArticleQuery {
            status: Some(LegalStatus::Repealed),
            ..all.clone()
        })
        .await,
        0
    );
    // at(0) is on 2026-02-02.
    let day = |d: i8| Some(miyun_core::Date::constant(2026, 2, 2 + d));
    assert_eq!(
        total(ArticleQuery {
            from: day(1),
            until: day(3),
            ..all.clone()
        })
        .await,
        3
    );
    assert_eq!(store.reindex_articles().await.unwrap(), 5);
    assert_eq!(total(all).await, 5);
});

both!(likes_are_counted_once, |store| {
    let who = two(&store).await;
    let id = publish(&store, &who, &content("t", "b", 0)).await;
    assert!(store.like(&id, &who.0, at(5)).await.unwrap());
    assert!(!store.like(&id, &who.0, at(6)).await.unwrap());
    assert!(store.liked(&id, &who.0).await.unwrap() && !store.liked(&id, &who.1).await.unwrap());
    assert_eq!(
        store.like_as_visitor(&id, "t0", "p", at(7)).await.unwrap(),
        LikeOutcome::New
    );
    assert_eq!(
        store.like_as_visitor(&id, "t0", "p", at(7)).await.unwrap(),
        LikeOutcome::Already
    );
    // 200 tokens from one prefix: the cap holds, another prefix and the next day are free.
    let mut capped = 0;
    for i in 1..200 {
        let o = store
            .like_as_visitor(&id, &format!("t{i}"), "p", at(8))
            .await
            .unwrap();
        capped += i64::from(o == LikeOutcome::Capped);
    }
    assert_eq!(capped, 200 - VISITOR_LIKES_PER_PREFIX_MAX);
    assert_eq!(
        store.like_as_visitor(&id, "u", "q", at(8)).await.unwrap(),
        LikeOutcome::New
    );
    assert_eq!(
        store
            .like_as_visitor(&id, "v", "p", at(86_400 * 2))
            .await
            .unwrap(),
        LikeOutcome::New
    );
    assert_eq!(
        store.likes(&id).await.unwrap(),
        1 + VISITOR_LIKES_PER_PREFIX_MAX as u64 + 2
    );
    assert!(store.unlike(&id, &who.0).await.unwrap());
    assert!(!store.unlike(&id, &who.0).await.unwrap());
});

both!(collections_are_private, |store| {
    let who = two(&store).await;
    let id = publish(&store, &who, &content("t", "b", 0)).await;
    let c = store
        .create_collection(&who.0, " 读书 ", at(5))
        .await
        .unwrap();
    store.collect(&who.0, &c, &id, at(6)).await.unwrap();
    store.collect(&who.0, &c, &id, at(7)).await.unwrap();
    assert_eq!(
        store.collections(&who.0).await.unwrap()[0].items,
        std::slice::from_ref(&id)
    );
    assert!(store.collections(&who.1).await.unwrap().is_empty());
    for denied in [
        store.collect(&who.1, &c, &id, at(8)).await,
        store.uncollect(&who.1, &c, &id).await,
        store.delete_collection(&who.1, &c).await,
    ] {
        assert!(
            matches!(denied, Err(StoreError::NotFound { .. })),
            "{denied:?}"
        );
    }
    store.uncollect(&who.0, &c, &id).await.unwrap();
    store.delete_collection(&who.0, &c).await.unwrap();
    assert!(store.collections(&who.0).await.unwrap().is_empty());
});

fn rendition(width: u32, bytes: &[u8]) -> NewRendition {
    NewRendition {
        content_type: "image/png",
        width,
        height: width / 2,
        bytes: bytes.to_vec(),
    }
}

both!(pictures_are_stored_once_in_their_widths, |store| {
    let wide: Vec<u8> = (0..=255).collect();
    let all = [rendition(960, &wide), rendition(480, b"narrow")];
    let a = store.put_picture(&all, "p", at(0)).await.unwrap();
    assert_eq!(store.put_picture(&all, "q", at(1)).await.unwrap(), a);
    assert_eq!(a, MediaId::of(&wide));
    let m = store.media(&a).await.unwrap().unwrap();
    assert_eq!((m.bytes, m.content_type.as_str()), (wide, "image/png"));
    let widths = async |id: &MediaId| -> Vec<u32> {
        let all = store.renditions(id).await.unwrap();
        all.iter().map(|r| r.width).collect()
    };
    assert_eq!(widths(&a).await, [960, 480]);
    // The narrow one sent as a picture of its own is one, without the wide one.
    let b = store
        .put_picture(&[rendition(480, b"narrow")], "p", at(2))
        .await
        .unwrap();
    assert_eq!(widths(&b).await, [480]);
    assert!(widths(&MediaId::of(b"never seen")).await.is_empty());
    let huge = rendition(8, &vec![0; 9 << 20]);
    assert!(store.put_picture(&[huge], "p", at(3)).await.is_err());
    assert!(store.put_picture(&[], "p", at(3)).await.is_err());
});

both!(an_article_shows_only_pictures_that_are_here, |store| {
    let (writer, second) = two(&store).await;
    let shown = |media: MediaId, caption: &str| {
        let mut c = content("t", "b", 0);
        c.picture = Some(Picture {
            media,
            caption: Text::new(caption, caption),
            credit: "c".into(),
            licence: "CC0".into(),
            alt: Text::new("a", "a"),
        });
        c
    };
    let id = store
        .put_picture(&[rendition(480, b"first")], "p", at(0))
        .await
        .unwrap();
    for bad in [
        shown(MediaId::of(b"elsewhere"), "x"),
        shown(id.clone(), " "),
    ] {
        let r = store.save_draft(None, &bad, "", &writer, at(1)).await;
        assert!(
            matches!(&r, Err(StoreError::Content(e)) if e.field == "picture"),
            "{r:?}"
        );
    }
    // A later version with another picture leaves the earlier one as it was.
    let (article, _) = store
        .save_draft(None, &shown(id.clone(), "x"), "", &writer, at(2))
        .await
        .unwrap();
    store
        .propose_article(&article, &writer, at(3))
        .await
        .unwrap();
    store
        .decide_article(&article, true, "", &second, at(4))
        .await
        .unwrap();
    let other = store
        .put_picture(&[rendition(480, b"second")], "p", at(5))
        .await
        .unwrap();
    store
        .save_draft(
            Some(&article),
            &shown(other.clone(), "y"),
            "",
            &writer,
            at(6),
        )
        .await
        .unwrap();
    let v = store.article_version(&article, 1).await.unwrap().unwrap();
    assert_eq!(v.content.picture.unwrap().media, id);
    assert_eq!(store.media(&id).await.unwrap().unwrap().bytes, b"first");
    // What a published version or a draft names stays; what a draft named before goes, but not at once.
    let third = store
        .put_picture(&[rendition(480, b"third")], "p", at(7))
        .await
        .unwrap();
    store
        .save_draft(
            Some(&article),
            &shown(third.clone(), "z"),
            "",
            &writer,
            at(8),
        )
        .await
        .unwrap();
    assert!(store.sweep_media(at(5)).await.unwrap().is_empty());
    let gone = store.sweep_media(at(6)).await.unwrap();
    assert_eq!(gone.into_iter().collect::<Vec<_>>(), [other.to_string()]);
    assert!(store.media(&other).await.unwrap().is_none());
    let c = shown(other, "y");
    let again = store
        .save_draft(Some(&article), &c, "", &writer, at(9))
        .await;
    assert!(matches!(again, Err(StoreError::Content(_))));
    // Of a withdrawn article nothing is shown, and nothing is kept.
    store
        .withdraw_article(&article, "no longer", &second, at(10))
        .await
        .unwrap();
    assert_eq!(store.sweep_media(at(99)).await.unwrap().len(), 2);
    for picture in [&id, &third] {
        assert!(store.media(picture).await.unwrap().is_none());
    }
});

both!(a_width_that_is_also_a_picture_stays_with_it, |store| {
    let (writer, _) = two(&store).await;
    let wide = [rendition(960, b"wide"), rendition(480, b"narrow")];
    let wide = store.put_picture(&wide, "p", at(0)).await.unwrap();
    let narrow = [rendition(480, b"narrow")];
    let narrow = store.put_picture(&narrow, "p", at(0)).await.unwrap();
    let mut c = content("t", "b", 0);
    c.picture = Some(Picture {
        media: narrow.clone(),
        caption: Text::new("x", "x"),
        credit: "c".into(),
        licence: "CC0".into(),
        alt: Text::new("a", "a"),
    });
    store
        .save_draft(None, &c, "", &writer, at(1))
        .await
        .unwrap();
    store.sweep_media(at(9)).await.unwrap();
    assert!(store.media(&wide).await.unwrap().is_none());
    assert!(store.media(&narrow).await.unwrap().is_some());
});

both!(content_is_checked, |store| {
    let (writer, _) = two(&store).await;
    let good = content("t", "b", 0);
    let mut bad = Vec::new();
    let mut b = good.clone();
    b.texts.clear();
    bad.push(b);
    let mut b = good.clone();
    b.texts[0].title = " ".into();
    bad.push(b);
    let mut b = good.clone();
    b.texts.push(b.texts[0].clone());
    bad.push(b);
    let mut b = good.clone();
    b.texts[0].body = "x".repeat(2 << 20);
    bad.push(b);
    let mut b = good.clone();
    b.regions = vec!["CN/<script>".into()];
    bad.push(b);
    let mut b = good.clone();
    b.links = vec![ClauseLink {
        anchor: "\" onclick=".into(),
        measure: "p/1".parse().unwrap(),
    }];
    bad.push(b);
    let mut b = good.clone();
    b.source.zh = "a\u{0}b".into();
    bad.push(b);
    for b in bad {
        let r = store.save_draft(None, &b, "", &writer, at(1)).await;
        assert!(matches!(r, Err(StoreError::Content(_))), "{r:?}");
    }
});
