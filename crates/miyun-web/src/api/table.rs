//! Tables as JSON, CSV or Parquet; pages of lists; entity tags.

use axum::Json;
use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use miyun_core::Decimal;
use miyun_lake::{Cells, Column};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};

use crate::problem::Problem;

/// What a table comes as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Format {
    /// JSON: rows as objects, decimals as text so that no digit is lost.
    #[default]
    Json,
    /// CSV with a header (RFC 4180), UTF-8.
    Csv,
    /// Parquet, decimals as `decimal128(18, 6)`.
    Parquet,
}

/// Which page of a list.
#[derive(Debug, Clone, Copy, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Page {
    /// Page, from 1.
    #[serde(default = "one")]
    #[param(default = 1, minimum = 1, maximum = 1_000_000, example = 1)]
    pub page: u32,
    /// Rows a page: at most 1000, in CSV and Parquet 100000.
    #[serde(default = "hundred")]
    #[param(default = 100, minimum = 1, maximum = 100_000, example = 100)]
    pub per_page: u32,
}

fn one() -> u32 {
    1
}
fn hundred() -> u32 {
    100
}

const PAGE_MAX: u32 = 1_000_000;
const JSON_ROWS_MAX: u32 = 1_000;
const FILE_ROWS_MAX: u32 = 100_000;

impl Page {
    /// The page if it is one, with no more rows than `format` may have.
    pub fn check(self, format: Format) -> Result<Self, Problem> {
        if self.page == 0 || self.page > PAGE_MAX {
            return Err(Problem::bad(format!("page: from 1 to {PAGE_MAX}")));
        }
        if self.per_page == 0 || self.per_page > FILE_ROWS_MAX {
            return Err(Problem::bad(format!("per_page: from 1 to {FILE_ROWS_MAX}")));
        }
        let most = if format == Format::Json {
            JSON_ROWS_MAX
        } else {
            FILE_ROWS_MAX
        };
        Ok(Self {
            page: self.page,
            per_page: self.per_page.min(most),
        })
    }

    /// Rows of this page.
    pub fn range(self, len: usize) -> std::ops::Range<usize> {
        let start = (self.page as usize - 1).saturating_mul(self.per_page as usize);
        start.min(len)..start.saturating_add(self.per_page as usize).min(len)
    }

    /// `Link` header: first, previous, next, last.
    fn links(self, uri: &Uri, total: u64) -> Option<HeaderValue> {
        let last = total.div_ceil(u64::from(self.per_page)).max(1);
        let rest: String = uri
            .query()
            .unwrap_or("")
            .split('&')
            .filter(|p| !p.is_empty() && !p.starts_with("page=") && !p.starts_with("per_page="))
            .map(|p| format!("&{p}"))
            .collect();
        let link = |n: u64, rel: &str| {
            format!(
                "<{}?page={n}&per_page={}{rest}>; rel=\"{rel}\"",
                uri.path(),
                self.per_page
            )
        };
        let here = u64::from(self.page);
        let mut all = vec![link(1, "first"), link(last, "last")];
        if here > 1 {
            all.push(link(here - 1, "prev"));
        }
        if here < last {
            all.push(link(here + 1, "next"));
        }
        HeaderValue::from_str(&all.join(", ")).ok()
    }
}

/// How a table is asked for.
#[derive(Debug, Clone, Copy, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct SheetQuery {
    /// What the table comes as.
    #[serde(default)]
    #[param(inline)]
    format: Format,
    /// Page, from 1.
    #[serde(default = "one")]
    #[param(default = 1, minimum = 1, maximum = 1_000_000)]
    page: u32,
    /// Rows a page: at most 1000, in CSV and Parquet 100000.
    #[serde(default = "hundred")]
    #[param(default = 100, minimum = 1, maximum = 100_000)]
    per_page: u32,
}

/// What every answer with a table needs of its request: which format and page, the address for
/// links to other pages, the entity tag that the client has.
#[derive(Debug, Clone)]
pub(crate) struct Sheet {
    query: SheetQuery,
    uri: Uri,
    headers: HeaderMap,
}

impl<S: Send + Sync> FromRequestParts<S> for Sheet {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, s: &S) -> Result<Self, Problem> {
        let Query(query) = Query::<SheetQuery>::from_request_parts(parts, s)
            .await
            .map_err(|e| Problem::bad(e.body_text()))?;
        Ok(Self {
            query,
            uri: parts.uri.clone(),
            headers: parts.headers.clone(),
        })
    }
}

impl Sheet {
    /// The format that was asked for.
    pub fn format(&self) -> Format {
        self.query.format
    }

    /// The page that was asked for.
    pub fn page(&self) -> Result<Page, Problem> {
        let page = Page {
            page: self.query.page,
            per_page: self.query.per_page,
        };
        page.check(self.query.format)
    }

    /// The answer: the page of the table that was asked for, in its format.
    pub fn answer(&self, table: &Table) -> Result<Response, Problem> {
        table.answer(self.query.format, self.page()?, &self.uri, &self.headers)
    }
}

/// A page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Listed<T> {
    /// How many there are in all.
    pub total: u64,
    /// Page, from 1.
    pub page: u32,
    /// Rows a page.
    pub per_page: u32,
    /// Rows of this page.
    pub items: Vec<T>,
}

/// A page of a table.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Rows {
    /// How many rows there are in all.
    #[schema(example = 12)]
    pub total: u64,
    /// Page, from 1.
    #[schema(example = 1)]
    pub page: u32,
    /// Rows a page.
    #[schema(example = 100)]
    pub per_page: u32,
    /// Rows by column name; decimals are text.
    pub rows: Vec<Map<String, Value>>,
}

/// One value of a table.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Cell {
    Null,
    Text(String),
    Int(i64),
    Decimal(Decimal),
    Bool(bool),
}

impl Cell {
    pub fn text(t: impl ToString) -> Self {
        Self::Text(t.to_string())
    }
    pub fn decimal(d: Option<Decimal>) -> Self {
        d.map_or(Self::Null, Self::Decimal)
    }
    pub fn int(n: Option<impl Into<i64>>) -> Self {
        n.map_or(Self::Null, |n| Self::Int(n.into()))
    }

    fn json(&self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Text(t) => Value::String(t.clone()),
            Self::Int(n) => Value::from(*n),
            Self::Decimal(d) => Value::String(d.to_string()),
            Self::Bool(b) => Value::Bool(*b),
        }
    }

    fn csv(&self) -> String {
        match self {
            Self::Null => String::new(),
            // A spreadsheet would run a cell that begins like a formula.
            Self::Text(t) if t.starts_with(['=', '+', '-', '@', '\t', '\r']) => format!("'{t}"),
            Self::Text(t) => t.clone(),
            Self::Int(n) => n.to_string(),
            Self::Decimal(d) => d.to_string(),
            Self::Bool(b) => b.to_string(),
        }
    }
}

/// A table with every row; pages are cut when it is answered.
#[derive(Debug)]
pub(crate) struct Table {
    /// Name of a download.
    pub name: &'static str,
    /// Column names.
    pub columns: Vec<String>,
    /// Rows, each as long as the columns.
    pub rows: Vec<Vec<Cell>>,
}

impl Table {
    /// A table with these columns.
    pub fn new(name: &'static str, columns: &[&str], rows: Vec<Vec<Cell>>) -> Self {
        Self {
            name,
            columns: columns.iter().map(|c| (*c).to_owned()).collect(),
            rows,
        }
    }

    /// The rows as Parquet. The types are those of the whole table, so that every page has the same.
    fn parquet(&self, rows: &[Vec<Cell>]) -> Result<Vec<u8>, Problem> {
        let column = |i: usize| {
            let cells: Vec<&Cell> = rows.iter().map(|r| &r[i]).collect();
            let has = |f: fn(&Cell) -> bool| {
                let whole = || self.rows.iter().map(|r| &r[i]);
                whole().all(|c| f(c) || *c == Cell::Null) && whole().any(f)
            };
            fn each<T>(cells: &[&Cell], f: impl Fn(&Cell) -> Option<T>) -> Vec<Option<T>> {
                cells.iter().map(|c| f(c)).collect()
            }
            if has(|c| matches!(c, Cell::Decimal(_))) {
                Cells::decimals(each(&cells, |c| match c {
                    Cell::Decimal(d) => Some(*d),
                    _ => None,
                }))
            } else if has(|c| matches!(c, Cell::Int(_))) {
                Ok(Cells::Integer(each(&cells, |c| match c {
                    Cell::Int(n) => Some(*n),
                    _ => None,
                })))
            } else if has(|c| matches!(c, Cell::Bool(_))) {
                Ok(Cells::Truth(each(&cells, |c| match c {
                    Cell::Bool(b) => Some(*b),
                    _ => None,
                })))
            } else {
                Ok(Cells::Text(each(&cells, |c| match c {
                    Cell::Null => None,
                    Cell::Text(t) => Some(t.clone()),
                    other => Some(other.csv()),
                })))
            }
        };
        let columns = self
            .columns
            .iter()
            .enumerate()
            .map(|(i, name)| {
                Ok(Column {
                    name: name.clone(),
                    cells: column(i)?,
                })
            })
            .collect::<Result<Vec<_>, miyun_lake::LakeError>>()?;
        Ok(miyun_lake::parquet(&columns)?)
    }

    /// The answer in that format, its page cut.
    pub fn answer(
        &self,
        format: Format,
        page: Page,
        uri: &Uri,
        headers: &HeaderMap,
    ) -> Result<Response, Problem> {
        let page = page.check(format)?;
        let rows = &self.rows[page.range(self.rows.len())];
        let total = self.rows.len() as u64;
        let (kind, extension, bytes) = match format {
            Format::Json => {
                let rows = rows
                    .iter()
                    .map(|r| {
                        self.columns
                            .iter()
                            .cloned()
                            .zip(r.iter().map(Cell::json))
                            .collect()
                    })
                    .collect();
                let body = Rows {
                    total,
                    page: page.page,
                    per_page: page.per_page,
                    rows,
                };
                let bytes = serde_json::to_vec(&body).map_err(Problem::internal)?;
                ("application/json", "json", bytes)
            }
            Format::Csv => {
                let mut w = csv::Writer::from_writer(Vec::new());
                w.write_record(&self.columns).map_err(Problem::internal)?;
                for r in rows {
                    w.write_record(r.iter().map(Cell::csv))
                        .map_err(Problem::internal)?;
                }
                let bytes = w.into_inner().map_err(Problem::internal)?;
                ("text/csv; charset=utf-8", "csv", bytes)
            }
            Format::Parquet => (
                "application/vnd.apache.parquet",
                "parquet",
                self.parquet(rows)?,
            ),
        };
        let mut r = tagged(kind, bytes, headers);
        if let Some(links) = page.links(uri, total) {
            r.headers_mut().insert(header::LINK, links);
        }
        if format != Format::Json
            && let Ok(v) = HeaderValue::from_str(&format!(
                "attachment; filename=\"{}.{extension}\"",
                self.name
            ))
        {
            r.headers_mut().insert(header::CONTENT_DISPOSITION, v);
        }
        r.headers_mut()
            .insert("x-total-count", HeaderValue::from(total));
        Ok(r)
    }
}

/// An answer with its entity tag, or "not changed" if the client has it.
pub(crate) fn tagged(kind: &'static str, bytes: Vec<u8>, headers: &HeaderMap) -> Response {
    let tag = format!("\"{}\"", &blake3::hash(&bytes).to_hex()[..24]);
    let known = headers
        .get(header::IF_NONE_MATCH)
        .and_then(|v| v.to_str().ok())
        .is_some_and(|v| {
            v.split(',')
                .map(|t| t.trim().trim_start_matches("W/"))
                .any(|t| t == tag || t == "*")
        });
    let mut r = if known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        ([(header::CONTENT_TYPE, kind)], bytes).into_response()
    };
    if let Ok(v) = HeaderValue::from_str(&tag) {
        r.headers_mut().insert(header::ETAG, v);
    }
    r.headers_mut()
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("private, no-cache"));
    r
}

/// A value as JSON with its entity tag.
pub(crate) fn json(value: &impl Serialize, headers: &HeaderMap) -> Result<Response, Problem> {
    let bytes = serde_json::to_vec(value).map_err(Problem::internal)?;
    Ok(tagged("application/json", bytes, headers))
}

/// A body that must be JSON; what is wrong with it is said as a problem.
pub(crate) struct Body<T>(pub T);

impl<S: Send + Sync, T: serde::de::DeserializeOwned> axum::extract::FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(r: axum::extract::Request, s: &S) -> Result<Self, Problem> {
        match Json::<T>::from_request(r, s).await {
            Ok(Json(v)) => Ok(Self(v)),
            Err(e) => {
                let code = match e.status().as_u16() {
                    413 => crate::problem::Code::TooLarge,
                    415 => crate::problem::Code::UnsupportedType,
                    _ => crate::problem::Code::BadRequest,
                };
                Err(Problem::new(code, e.body_text()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        Table {
            name: "t",
            columns: vec!["place".into(), "value".into()],
            rows: (0..5)
                .map(|i| {
                    vec![
                        Cell::text(format!("=p{i}")),
                        Cell::Decimal(Decimal::new(i, 1)),
                    ]
                })
                .collect(),
        }
    }

    #[tokio::test]
    async fn pages_tags_and_formulas() {
        let (t, uri) = (
            table(),
            "/api/v1/x?format=csv&page=2&per_page=2"
                .parse::<Uri>()
                .unwrap(),
        );
        let page = Page {
            page: 2,
            per_page: 2,
        };
        let r = t
            .answer(Format::Csv, page, &uri, &HeaderMap::new())
            .unwrap();
        let link = r.headers()[header::LINK].to_str().unwrap().to_owned();
        assert!(
            link.contains("</api/v1/x?page=3&per_page=2&format=csv>; rel=\"next\""),
            "{link}"
        );
        let tag = r.headers()[header::ETAG].clone();
        let body = axum::body::to_bytes(r.into_body(), 1 << 20).await.unwrap();
        assert_eq!(body, "place,value\n'=p2,0.2\n'=p3,0.3\n");
        let mut again = HeaderMap::new();
        again.insert(header::IF_NONE_MATCH, tag);
        let r = t.answer(Format::Csv, page, &uri, &again).unwrap();
        assert_eq!(r.status(), StatusCode::NOT_MODIFIED);
        for bad in [
            Page {
                page: 0,
                per_page: 1,
            },
            Page {
                page: 1,
                per_page: 0,
            },
            Page {
                page: u32::MAX,
                per_page: u32::MAX,
            },
        ] {
            assert!(
                t.answer(Format::Json, bad, &uri, &HeaderMap::new())
                    .is_err()
            );
        }
        let far = Page {
            page: 999_999,
            per_page: 1_000,
        };
        assert!(
            t.answer(Format::Parquet, far, &uri, &HeaderMap::new())
                .is_ok()
        );
    }
}
