//! What holds for every operation and is said once, instead of at each: errors are problem+json, a
//! client that asks too often is told so, tables come in three forms.

use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::{Content, ContentBuilder, OpenApi, Ref, RefOr, Response, ResponseBuilder};

/// What differs between the documents.
pub(crate) struct House {
    /// Schema of a problem.
    pub problem: &'static str,
    /// Statuses that any operation may refuse with.
    pub refusals: &'static [(&'static str, &'static str)],
    /// What tables come as besides JSON, where `format` asks for it.
    pub forms: &'static [&'static str],
}

/// The platform's API.
pub(super) const PLATFORM: House = House {
    problem: "#/components/schemas/Problem",
    refusals: &[
        ("400", "Not understood"),
        ("408", "It took too long: ask for less"),
        ("429", "Too many requests from this address: wait a minute"),
    ],
    forms: &["text/csv", "application/vnd.apache.parquet"],
};

/// The registry's API, whose refusals have many statuses.
pub(crate) const REGISTRY: House = House {
    problem: "#/components/schemas/ProblemBody",
    refusals: &[("4XX", "Refused; nothing has changed")],
    forms: &["text/csv", "application/vnd.apache.parquet"],
};

/// Completes the document.
pub(crate) fn describe(api: &mut OpenApi, house: &House) {
    for item in api.paths.paths.values_mut() {
        let PathItem {
            get,
            put,
            post,
            delete,
            ..
        } = item;
        for operation in [get, put, post, delete].into_iter().flatten() {
            complete(operation, house);
        }
    }
}

fn complete(operation: &mut Operation, house: &House) {
    let mut add = |status: &str, text: &str| {
        operation
            .responses
            .responses
            .entry(status.to_owned())
            .or_insert_with(|| RefOr::T(problem(house, text)));
    };
    for (status, text) in house.refusals {
        add(status, text);
    }
    if operation.request_body.is_some() {
        add("413", "The body is too large");
        add("415", "The body is of another type");
    }
    let forms = operation.parameters.iter().flatten().any(|p| match p {
        RefOr::T(p) => p.name == "format",
        RefOr::Ref(_) => false,
    });
    for (status, response) in &mut operation.responses.responses {
        let RefOr::T(response) = response else {
            continue;
        };
        if status.starts_with('4') && response.content.is_empty() {
            response.content = problem(house, "").content;
        }
        response.content = std::mem::take(&mut response.content)
            .into_iter()
            .map(|(kind, content)| {
                let kind = if says_problem(house, &content) {
                    "application/problem+json".to_owned()
                } else {
                    kind
                };
                (kind, content)
            })
            .collect();
        if forms && status == "200" {
            for kind in std::iter::once(&"application/json").chain(house.forms) {
                let any = || RefOr::T(ContentBuilder::new().build());
                response
                    .content
                    .entry((*kind).to_owned())
                    .or_insert_with(any);
            }
        }
    }
}

fn problem(house: &House, text: &str) -> Response {
    let schema = RefOr::Ref(Ref::new(house.problem));
    ResponseBuilder::new()
        .description(text)
        .content(
            "application/problem+json",
            ContentBuilder::new().schema(Some(schema)).build(),
        )
        .build()
}

fn says_problem(house: &House, content: &RefOr<Content>) -> bool {
    matches!(content, RefOr::T(Content { schema: Some(RefOr::Ref(r)), .. }) if r.ref_location == house.problem)
}
