//! Why a page could not be shown, as a page in the reader's language.

use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};
use maud::html;
use miyun_core::text::Lang;

use crate::shell::{View, page};

/// Why a page could not be shown.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Failure {
    /// There is no such thing.
    #[error("{0}")]
    NotFound(String),
    /// The request cannot be understood.
    #[error("{0}")]
    Bad(String),
    /// The reader may not do this.
    #[error("{0}")]
    Forbidden(String),
    /// It was there and was withdrawn.
    #[error("{0}")]
    Gone(String),
    /// Too many requests of this kind.
    #[error("{0}")]
    TooMany(String),
    /// Something that should work does not.
    #[error("{0}")]
    Broken(String),
}

impl Failure {
    /// Its status code.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::Bad(_) => StatusCode::BAD_REQUEST,
            Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::Gone(_) => StatusCode::GONE,
            Self::TooMany(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::Broken(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn heading(&self, lang: Lang) -> &'static str {
        let (zh, en) = match self {
            Self::NotFound(_) => ("没有这个页面", "There is no such page"),
            Self::Bad(_) => ("这个请求无法理解", "This request cannot be understood"),
            Self::Forbidden(_) => ("没有权限", "You may not do this"),
            Self::Gone(_) => ("已撤回", "Withdrawn"),
            Self::TooMany(_) => ("请求过多", "Too many requests"),
            Self::Broken(_) => ("服务器出错", "Something broke here"),
        };
        match lang {
            Lang::Zh => zh,
            Lang::En => en,
        }
    }

    /// The page that says so; what is wrong is said in the words of the program (English).
    #[must_use]
    pub fn page(&self, view: &View) -> Response {
        let body = html! {
            h1 { (self.heading(view.lang)) }
            p lang="en" { (self.to_string()) }
            p { (view.tr("其他页面不受影响。", "Other pages are not affected.")) " "
                a href=(view.link("/")) { (view.tr("回到概览", "Go to the overview")) } " · "
                a href=(view.link("/about#errors")) { (view.tr("哪里可以报告错误", "Where to report an error")) } }
        };
        let text = page(view, self.heading(view.lang), false, body).into_string();
        (self.status(), Html(text)).into_response()
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        self.page(&View::plain(Lang::En, "/"))
    }
}
