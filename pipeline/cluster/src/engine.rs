//! Where SQL over the whole log runs.

use std::str::FromStr;
use std::time::Duration;

use ballista::prelude::{SessionConfigExt, SessionContextExt};
use datafusion::execution::SessionStateBuilder;
use datafusion::prelude::{SessionConfig, SessionContext};
use rettidig_model::session::plain_texts;
use rettidig_runtime::RuntimeError;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long a scheduler may take to accept a connection.
const CONNECT: Duration = Duration::from_secs(10);

/// Where SQL over the whole log runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum On {
    /// In this process.
    Local,
    /// On a cluster: host and port of its scheduler.
    Ballista(String),
}

impl FromStr for On {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || format!("expected local or ballista://HOST:PORT, got {text:?}");
        if text == "local" {
            return Ok(Self::Local);
        }
        let address = text.strip_prefix("ballista://").ok_or_else(expected)?;
        let (host, port) = address.rsplit_once(':').ok_or_else(expected)?;
        match port.parse::<u16>() {
            Ok(1..) if !host.is_empty() && !host.contains(['/', '@']) => {
                Ok(Self::Ballista(address.to_owned()))
            }
            _ => Err(expected()),
        }
    }
}

impl On {
    /// A context that runs queries there.
    pub(crate) async fn context(&self) -> Result<SessionContext, RuntimeError> {
        let Self::Ballista(address) = self else {
            return Ok(SessionContext::new_with_config(plain_texts(SessionConfig::new())));
        };
        let attempt = format!("reaching the Ballista scheduler at {address}");
        let remedy =
            "start one with `rettidig ballista scheduler`, or name another with --on ballista://HOST:PORT";
        let stop = |cause: String| RuntimeError::stop(&attempt, cause, remedy);
        match timeout(CONNECT, TcpStream::connect(address)).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => return Err(stop(error.to_string())),
            Err(_) => return Err(stop(format!("no answer within {} s", CONNECT.as_secs()))),
        }
        let config = plain_texts(SessionConfig::new_with_ballista());
        let state = SessionStateBuilder::new().with_default_features().with_config(config).build();
        let context = SessionContext::remote_with_state(&format!("ballista://{address}"), state).await;
        context.map_err(|error| stop(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_host_and_a_port() {
        assert_eq!("local".parse(), Ok(On::Local));
        assert_eq!("ballista://10.0.0.1:50050".parse(), Ok(On::Ballista("10.0.0.1:50050".to_owned())));
        assert_eq!("ballista://[::1]:50050".parse(), Ok(On::Ballista("[::1]:50050".to_owned())));
        for wrong in [
            "",
            "ballista",
            "ballista://",
            "ballista://host",
            "ballista://host:",
            "ballista://:50050",
            "ballista://host:0",
            "ballista://host:70000",
            "http://host:50050",
            "ballista://user@host:50050",
            "ballista://host/path:50050",
        ] {
            let error = wrong.parse::<On>().expect_err(wrong);
            assert!(error.contains("ballista://HOST:PORT"), "{wrong}: {error}");
        }
    }
}
