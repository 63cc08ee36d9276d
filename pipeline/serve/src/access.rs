//! Who asks: a reader is anybody, a jobcentre, or an operator.
//!
//! A reader shows a token: `Authorization: Bearer …`, or as a password (HTTP basic, PostgreSQL) under the token's name. A browser asks for both after
//! `/login` and shows them from then on. A file names the tokens by their SHA-256, so that who reads the file can use none of them. Tokens
//! are compared in constant time.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use headers::authorization::{Basic, Bearer};
use headers::{Authorization, HeaderMapExt as _};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq as _;
use tokio::sync::watch;

use crate::changes::Changes;

/// Who reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reader {
    /// Anybody: what is published for all.
    Public,
    /// A jobcentre: closed rows of its own areas beside that.
    Jobcentre {
        /// Name of the token.
        name: String,
        /// Codes of its areas.
        areas: Arc<BTreeSet<String>>,
    },
    /// An operator: everything that is published.
    Operator {
        /// Name of the token.
        name: String,
    },
}

static NONE: BTreeSet<String> = BTreeSet::new();

impl Reader {
    /// The areas whose closed rows the reader may see; `None` for those of all.
    pub fn areas(&self) -> Option<&BTreeSet<String>> {
        match self {
            Self::Public => Some(&NONE),
            Self::Jobcentre { areas, .. } => Some(areas),
            Self::Operator { .. } => None,
        }
    }

    /// The name that the audit log tells; `None` for anybody.
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Public => None,
            Self::Jobcentre { name, .. } | Self::Operator { name } => Some(name),
        }
    }
}

/// What a token is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Role {
    Jobcentre,
    Operator,
}

/// A line of the file of tokens.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Token {
    name: String,
    /// SHA-256 of the token, hex.
    sha256: String,
    role: Role,
    /// Codes of the areas of a jobcentre.
    #[serde(default)]
    areas: BTreeSet<String>,
}

/// SHA-256 of each token, and whose it is.
type Tokens = Vec<([u8; 32], Reader)>;

/// How a browser is asked for the name and the token of who sits before it.
pub(crate) const ASK_BROWSER: HeaderValue =
    HeaderValue::from_static("Basic realm=\"Rettidig\", charset=\"UTF-8\"");

/// Who may read what.
#[derive(Debug, Clone)]
pub struct Access {
    anybody: Reader,
    tokens: watch::Receiver<Tokens>,
}

impl Access {
    /// Everybody is `reader`, and there are no tokens.
    pub fn all(reader: Reader) -> Self {
        Self { anybody: reader, tokens: watch::Sender::default().subscribe() }
    }

    /// Anybody sees what is public; more is seen with a token of the file, a list in YAML of `name`, `sha256`, `role` (jobcentre
    /// or operator) and `areas` (of a jobcentre). The file is followed from now on: a token that it does not name any more is taken back;
    /// as long as the file has faults the tokens that it named before stay.
    ///
    /// # Errors
    /// Everything that is wrong with the file.
    ///
    /// # Panics
    /// Outside of tokio.
    pub fn from_file(file: &Path) -> Result<Self, Vec<String>> {
        let (sender, tokens) = watch::channel(read(file)?);
        tokio::spawn(again(sender, file.to_owned()));
        Ok(Self { anybody: Reader::Public, tokens })
    }

    /// Who shows nothing.
    pub fn anybody(&self) -> &Reader {
        &self.anybody
    }

    /// Whether anybody can show a token.
    pub fn has_tokens(&self) -> bool {
        !self.tokens.borrow().is_empty()
    }

    /// Whether somebody who was let in would be let in still, as the same.
    pub fn still_knows(&self, reader: &Reader) -> bool {
        *reader == self.anybody || self.tokens.borrow().iter().any(|(_, known)| known == reader)
    }

    /// Whose token it is.
    pub fn reader_of(&self, token: &str) -> Option<Reader> {
        let digest: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        // All are compared, so that the time tells nothing.
        let mut found = None;
        for (known, reader) in self.tokens.borrow().iter() {
            if bool::from(known.ct_eq(&digest)) {
                found = Some(reader.clone());
            }
        }
        found
    }

    fn identify(&self, headers: &HeaderMap) -> Option<Reader> {
        if !headers.contains_key(AUTHORIZATION) {
            return Some(self.anybody.clone());
        }
        if let Some(Authorization(bearer)) = headers.typed_get::<Authorization<Bearer>>() {
            return self.reader_of(bearer.token().trim());
        }
        let Authorization(basic) = headers.typed_get::<Authorization<Basic>>()?;
        self.reader_of(basic.password()).filter(|reader| reader.name() == Some(basic.username()))
    }
}

/// Reads the file again whenever it has changed, as long as somebody wants to know.
async fn again(tokens: watch::Sender<Tokens>, file: PathBuf) {
    let mut changes = Changes::of(vec![file.clone()]);
    while !tokens.is_closed() {
        changes.next().await;
        match read(&file) {
            Ok(read) => {
                tracing::info!(file = %file.display(), tokens = read.len(), "the tokens were read again");
                tokens.send_replace(read);
                changes.take();
            }
            Err(errors) => {
                let errors = errors.join("; ");
                tracing::warn!(errors, "the new tokens cannot be used; the old ones stay");
            }
        }
    }
}

fn read(file: &Path) -> Result<Tokens, Vec<String>> {
    let named = |error: String| format!("{}: {error}", file.display());
    let text = std::fs::read_to_string(file).map_err(|error| vec![named(error.to_string())])?;
    parsed(&text).map_err(|errors| errors.into_iter().map(named).collect())
}

fn parsed(text: &str) -> Result<Tokens, Vec<String>> {
    let tokens: Vec<Token> = serde_yaml_ng::from_str(text).map_err(|error| vec![error.to_string()])?;
    let mut errors = Vec::new();
    let mut known: Vec<([u8; 32], Reader)> = Vec::new();
    let mut names = BTreeSet::new();
    for token in tokens {
        let mut wrong = |what: &str| errors.push(format!("token {:?}: {what}", token.name));
        if token.name.is_empty() || !names.insert(token.name.clone()) {
            wrong("expected a name that no other token has");
        }
        match (token.role, token.areas.is_empty()) {
            (Role::Jobcentre, true) => wrong("a jobcentre's token names its areas, e.g. areas: ['0101']"),
            (Role::Operator, false) => wrong("an operator sees all areas: leave areas out"),
            _ => {}
        }
        let mut digest = [0; 32];
        if hex::decode_to_slice(&token.sha256, &mut digest).is_err() {
            wrong("sha256: expected 64 hexadecimal digits: printf %s TOKEN | sha256sum");
        } else if known.iter().any(|(other, _)| *other == digest) {
            wrong("another one has the same sha256");
        }
        let name = token.name;
        let reader = match token.role {
            Role::Jobcentre => Reader::Jobcentre { name, areas: Arc::new(token.areas) },
            Role::Operator => Reader::Operator { name },
        };
        known.push((digest, reader));
    }
    if errors.is_empty() { Ok(known) } else { Err(errors) }
}

/// Finds out who asks and lays a [`Reader`] beside the request; a token that nobody has is refused.
pub(crate) async fn identify(State(access): State<Access>, mut request: Request, next: Next) -> Response {
    match access.identify(request.headers()) {
        Some(reader) => {
            request.extensions_mut().insert(reader);
            next.run(request).await
        }
        None => {
            let text = "this token is not known: ask who runs this service for one\n";
            let is_browser = request.headers().typed_get::<Authorization<Basic>>().is_some();
            let challenge = if is_browser { ASK_BROWSER } else { HeaderValue::from_static("Bearer") };
            (StatusCode::UNAUTHORIZED, [(WWW_AUTHENTICATE, challenge)], text).into_response()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sha256(token: &str) -> String {
        hex::encode(Sha256::digest(token.as_bytes()))
    }

    #[test]
    fn a_token_is_known_by_its_hash_alone() {
        let text = format!(
            "- {{name: koebenhavn, sha256: {}, role: jobcentre, areas: ['0101']}}\n- {{name: vagt, sha256: {}, role: operator}}\n",
            sha256("a-token"),
            sha256("another")
        );
        let tokens = watch::Sender::new(parsed(&text).expect("a file"));
        let access = Access { anybody: Reader::Public, tokens: tokens.subscribe() };
        assert_eq!(access.anybody(), &Reader::Public);
        let own = access.reader_of("a-token").expect("known");
        assert_eq!(own.areas().expect("its areas").iter().collect::<Vec<_>>(), ["0101"]);
        assert_eq!(access.reader_of("another").expect("known").areas(), None);
        assert_eq!(access.reader_of(&sha256("a-token")), None, "the hash is no token");
        assert_eq!(access.reader_of(""), None);
        // A token that is taken back, or is for other areas now, lets nobody in and nobody stay.
        assert!(access.still_knows(&own) && access.still_knows(&Reader::Public));
        tokens.send_replace(parsed(&text.replace("0101", "0147")).expect("a file"));
        assert!(!access.still_knows(&own));
        tokens.send_replace(Vec::new());
        assert_eq!(access.reader_of("a-token"), None);
    }

    #[test]
    fn all_faults_of_a_file_come_at_once() {
        let text = format!(
            "- {{name: a, sha256: {0}, role: jobcentre}}\n- {{name: a, sha256: {0}, role: operator}}\n- {{name: b, sha256: abc, role: operator, areas: ['0101']}}\n",
            sha256("x")
        );
        let errors = parsed(&text).expect_err("refused");
        assert_eq!(errors.len(), 5, "{errors:#?}");
        assert!(parsed("- {name: a, secret: b}").is_err(), "unknown fields are refused");
    }
}
