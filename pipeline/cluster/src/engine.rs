//! Where SQL over the whole log runs.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use ballista::prelude::{SessionConfigExt, SessionContextExt};
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::prelude::{SessionConfig, SessionContext};
use rettidig_model::session::plain_texts;
use rettidig_runtime::RuntimeError;

/// How long a scheduler may take to say that it is ready.
const CONNECT: Duration = Duration::from_secs(10);

/// Memory that sorts and groupings in this process may hold before they use temporary files.
const LOCAL_BYTES: usize = 2 << 30;

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
            let pool = Arc::new(FairSpillPool::new(LOCAL_BYTES));
            let runtime = RuntimeEnvBuilder::new().with_memory_pool(pool).build_arc();
            let runtime = runtime.map_err(|error| {
                RuntimeError::stop("setting up DataFusion", error, "see that temporary files can be written")
            })?;
            let config = plain_texts(SessionConfig::new());
            return Ok(SessionContext::new_with_config_rt(config, runtime));
        };
        let stop = |cause: String, remedy: &str| {
            RuntimeError::stop(format!("asking the Ballista scheduler at {address}"), cause, remedy)
        };
        // Without an executor a query would wait for ever. The queries that follow know no proxy either.
        let ready = reqwest::Client::builder().no_proxy().timeout(CONNECT).build();
        let ready = match ready {
            Ok(client) => client.get(format!("http://{address}/readyz")).send().await,
            Err(error) => Err(error),
        };
        match ready.map(|answer| answer.status().as_u16()) {
            Ok(200) => {}
            Ok(503) => {
                let remedy = format!("start some with `rettidig ballista executor --scheduler {address}`");
                return Err(stop("it has no executor".to_owned(), &remedy));
            }
            Ok(status) => {
                let cause = format!("what listens there is none: it answers /readyz with {status}");
                return Err(stop(cause, "name another with --on ballista://HOST:PORT"));
            }
            Err(error) => {
                let mut root: &dyn std::error::Error = &error;
                while let Some(cause) = root.source() {
                    root = cause;
                }
                let cause = root.to_string();
                let remedy = "start one with `rettidig ballista scheduler`, or name another with --on ballista://HOST:PORT";
                return Err(stop(cause, remedy));
            }
        }
        let config = cluster_options();
        let state = SessionStateBuilder::new().with_default_features().with_config(config).build();
        let context = SessionContext::remote_with_state(&format!("ballista://{address}"), state).await;
        context.map_err(|error| stop(error.to_string(), "report this as a bug"))
    }
}

/// Options of a query on a cluster. Plans are made before and not while it runs: with some joins Ballista 55 otherwise adds
/// stage after stage and never ends.
pub(crate) fn cluster_options() -> SessionConfig {
    plain_texts(SessionConfig::new_with_ballista().with_ballista_adaptive_query_planner(false))
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
