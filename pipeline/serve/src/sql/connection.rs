//! One connection: who it is, and its statements.

use std::collections::HashMap;
use std::fmt::Debug;
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use datafusion::logical_expr::LogicalPlan;
use datafusion::sql::sqlparser::ast::Statement;
use datafusion_postgres::pgwire::api::auth::{
    DefaultServerParameterProvider, StartupHandler, finish_authentication, protocol_negotiation,
    save_startup_parameters_to_metadata,
};
use datafusion_postgres::pgwire::api::cancel::CancelHandler;
use datafusion_postgres::pgwire::api::portal::{Format, Portal};
use datafusion_postgres::pgwire::api::query::{ExtendedQueryHandler, SimpleQueryHandler};
use datafusion_postgres::pgwire::api::results::{FieldInfo, Response};
use datafusion_postgres::pgwire::api::stmt::{QueryParser, StoredStatement};
use datafusion_postgres::pgwire::api::store::{Entry, PortalStore};
use datafusion_postgres::pgwire::api::{
    ClientInfo, ClientPortalStore, DEFAULT_NAME, ErrorHandler, PgWireConnectionState, PgWireServerHandlers,
    PidSecretKeyGenerator as _, RandomPidSecretKeyGenerator, Type,
};
use datafusion_postgres::pgwire::error::{ErrorInfo, PgWireError, PgWireResult};
use datafusion_postgres::pgwire::messages::extendedquery::{Bind, BindComplete, Parse, ParseComplete};
use datafusion_postgres::pgwire::messages::startup::Authentication;
use datafusion_postgres::pgwire::messages::{PgWireBackendMessage, PgWireFrontendMessage};
use datafusion_postgres::{DfSessionService, Parser};
use futures::{Sink, SinkExt as _, StreamExt as _, stream};
use tokio::sync::{Mutex, Notify};
use tokio::time::Instant;

use super::cancel::{Cancels, Place};
use super::epoch::{At, Epochs};
use super::guard::refused;
use crate::access::Reader;

/// The user who sees what is public.
const PUBLIC: &str = "public";

/// A statement and its plan, as [`DfSessionService`] keeps it.
type Planned = (String, Option<(Statement, LogicalPlan)>);

/// The parts of a connection that the protocol asks for.
pub(super) struct Handlers {
    connection: Arc<Connection>,
    cancels: Arc<Cancels>,
}

impl Handlers {
    pub(super) fn new(epochs: Arc<Epochs>, cancels: Arc<Cancels>) -> Self {
        let connection = Connection {
            planner: Arc::new(Planner { epochs, who: OnceLock::new(), service: Mutex::default() }),
            cancels: Arc::clone(&cancels),
            place: OnceLock::new(),
            planned: Mutex::default(),
        };
        Self { connection: Arc::new(connection), cancels }
    }
}

impl PgWireServerHandlers for Handlers {
    fn simple_query_handler(&self) -> Arc<impl SimpleQueryHandler> {
        Arc::clone(&self.connection)
    }

    fn extended_query_handler(&self) -> Arc<impl ExtendedQueryHandler> {
        Arc::clone(&self.connection)
    }

    fn startup_handler(&self) -> Arc<impl StartupHandler> {
        Arc::clone(&self.connection)
    }

    fn error_handler(&self) -> Arc<impl ErrorHandler> {
        Arc::clone(&self.connection)
    }

    fn cancel_handler(&self) -> Arc<impl CancelHandler> {
        Arc::clone(&self.cancels)
    }
}

/// Plans statements over the newest epoch.
struct Planner {
    epochs: Arc<Epochs>,
    /// Set when the reader is known, before any statement is taken.
    who: OnceLock<(At, Reader)>,
    service: Mutex<Option<(u64, Arc<DfSessionService>)>>,
}

impl Planner {
    /// The session over the newest epoch, and its number.
    async fn service(&self) -> PgWireResult<(u64, Arc<DfSessionService>)> {
        let failed = |error: String| refused("57P03", error);
        let (at, reader) = self.who.get().ok_or(PgWireError::NotReadyForQuery)?;
        if !self.epochs.shown().access.still_knows(reader) {
            let text =
                "the token of this connection was taken back, or is for other areas now: connect again";
            return Err(fatal("28000", text));
        }
        let mut service = self.service.lock().await;
        if let Some((epoch, kept)) = service.as_ref()
            && (matches!(at, At::Known(_)) || *epoch == self.epochs.newest().map_err(failed)?)
        {
            return Ok((*epoch, Arc::clone(kept)));
        }
        let opened = self.epochs.open(*at, reader).await.map_err(failed)?;
        *service = Some(opened.clone());
        Ok(opened)
    }

    async fn parser(&self) -> PgWireResult<Arc<Parser>> {
        Ok(self.service().await?.1.query_parser())
    }
}

#[async_trait]
impl QueryParser for Planner {
    type Statement = Planned;

    async fn parse_sql<C>(
        &self,
        client: &C,
        sql: &str,
        types: &[Option<Type>],
    ) -> PgWireResult<Option<Planned>>
    where
        C: ClientInfo + Unpin + Send + Sync,
    {
        self.parser().await?.parse_sql(client, sql, types).await
    }

    fn get_parameter_types(&self, statement: &Planned) -> PgWireResult<Vec<Type>> {
        self.kept()?.query_parser().get_parameter_types(statement)
    }

    fn get_result_schema(
        &self,
        statement: &Planned,
        format: Option<&Format>,
    ) -> PgWireResult<Vec<FieldInfo>> {
        self.kept()?.query_parser().get_result_schema(statement, format)
    }
}

impl Planner {
    /// The session that a statement was planned with; what a statement looks like does not depend on the epoch.
    fn kept(&self) -> PgWireResult<Arc<DfSessionService>> {
        let service = self.service.try_lock().map_err(|_| PgWireError::NotReadyForQuery)?;
        service.as_ref().map(|(_, service)| Arc::clone(service)).ok_or(PgWireError::NotReadyForQuery)
    }
}

struct Connection {
    planner: Arc<Planner>,
    cancels: Arc<Cancels>,
    /// Set when the reader is known.
    place: OnceLock<Place>,
    /// Epoch and text of prepared statements by name.
    planned: Mutex<HashMap<String, (u64, String)>>,
}

fn fatal(code: &str, message: impl Into<String>) -> PgWireError {
    PgWireError::UserError(Box::new(ErrorInfo::new("FATAL".to_owned(), code.to_owned(), message.into())))
}

impl Connection {
    /// Who says to be `user`, if no password is needed.
    fn without_password(&self, user: &str) -> Option<Reader> {
        let anybody = self.planner.epochs.shown().access.anybody();
        (user == PUBLIC || *anybody != Reader::Public).then(|| anybody.clone())
    }

    async fn welcome<C>(&self, client: &mut C, reader: Reader) -> PgWireResult<()>
    where
        C: ClientInfo + Sink<PgWireBackendMessage> + Unpin + Send,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let shown = self.planner.epochs.shown();
        let database = client.metadata().get("database").cloned().unwrap_or_default();
        let at = At::of_database(&database, shown.clock.now()).map_err(|error| fatal("3D000", error))?;
        // The first one stays: a connection authenticates once.
        self.planner.who.set((at, reader)).map_err(|_| PgWireError::NotReadyForQuery)?;
        let (pid, key) = RandomPidSecretKeyGenerator::default().generate(client);
        client.set_pid_and_secret_key(pid, key.clone());
        self.place.set(self.cancels.register(pid, &key)).map_err(|_| PgWireError::NotReadyForQuery)?;
        let mut parameters = DefaultServerParameterProvider::default();
        parameters.is_superuser = false;
        parameters.default_transaction_read_only = true;
        finish_authentication(client, &parameters).await
    }

    fn deadline(&self) -> Instant {
        Instant::now() + self.planner.epochs.limits().statement
    }

    /// Ends when somebody cancels what runs now; never before the reader is known.
    async fn canceled(place: Option<Arc<Notify>>) {
        match place {
            Some(canceled) => canceled.notified_owned().await,
            None => std::future::pending().await,
        }
    }

    fn notify(&self) -> Option<Arc<Notify>> {
        self.place.get().map(|place| Arc::clone(&place.canceled))
    }

    async fn in_time<T>(&self, work: impl Future<Output = PgWireResult<T>>) -> PgWireResult<T> {
        let limit = self.planner.epochs.limits().statement;
        tokio::select! {
            ended = tokio::time::timeout(limit, work) => ended.unwrap_or_else(|_| Err(self.too_long(limit))),
            () = Self::canceled(self.notify()) => Err(PgWireError::QueryCanceled),
        }
    }

    fn too_long(&self, limit: Duration) -> PgWireError {
        match self.planner.who.get() {
            Some((At::Known(at), _)) => {
                let text = format!(
                    "canceled: it took longer than {} s; what was known at {at} is being made: ask again in a while",
                    limit.as_secs()
                );
                refused("57014", text)
            }
            _ => too_long(limit),
        }
    }

    /// An answer that ends with an error where it takes too long, has too many rows or is canceled; never one that is silently cut.
    fn bounded(&self, response: Response, deadline: Instant) -> Response {
        let Response::Query(mut answer) = response else { return response };
        let limits = self.planner.epochs.limits();
        let rows = std::mem::replace(&mut answer.data_rows, Box::pin(stream::empty()));
        let ends = (Box::pin(tokio::time::sleep_until(deadline)), Box::pin(Self::canceled(self.notify())));
        let start = (rows, ends, 0_usize);
        answer.data_rows = Box::pin(stream::unfold(start, move |(mut rows, mut ends, told)| async move {
            let row = tokio::select! {
                row = rows.next() => row?,
                () = &mut ends.0 => Err(too_long(limits.statement)),
                () = &mut ends.1 => Err(PgWireError::QueryCanceled),
            };
            let row = match row {
                Ok(_) if told >= limits.rows => {
                    let text =
                        format!("more than {} rows: ask for fewer, or take the table's file", limits.rows);
                    Err(refused("54000", text))
                }
                row => row,
            };
            Some((row, (rows, ends, told + 1)))
        }));
        Response::Query(answer)
    }
}

/// Whether a token may be sent on a connection: it is nobody else's to read.
fn takes_token(is_secure: bool, peer: IpAddr) -> bool {
    is_secure || peer.is_loopback()
}

fn too_long(limit: Duration) -> PgWireError {
    let text = format!("canceled: it took longer than {} s; ask for less at a time", limit.as_secs());
    refused("57014", text)
}

impl ErrorHandler for Connection {
    fn on_error<C>(&self, client: &C, error: &mut PgWireError)
    where
        C: ClientInfo,
    {
        tracing::debug!(peer = %client.socket_addr(), %error, "the SQL endpoint refused something");
    }
}

#[async_trait]
impl StartupHandler for Connection {
    async fn on_startup<C>(&self, client: &mut C, message: PgWireFrontendMessage) -> PgWireResult<()>
    where
        C: ClientInfo + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let user = |client: &C| client.metadata().get("user").cloned().unwrap_or_default();
        match message {
            PgWireFrontendMessage::Startup(ref startup) => {
                protocol_negotiation(client, startup).await?;
                save_startup_parameters_to_metadata(client, startup);
                if let Some(reader) = self.without_password(&user(client)) {
                    return self.welcome(client, reader).await;
                }
                if !takes_token(client.is_secure(), client.socket_addr().ip()) {
                    let text = "a token is taken over TLS only: connect with sslmode=require or stricter, or as the user public";
                    return Err(fatal("28000", text));
                }
                client.set_state(PgWireConnectionState::AuthenticationInProgress);
                let ask = PgWireBackendMessage::Authentication(Authentication::CleartextPassword);
                client.send(ask).await?;
            }
            PgWireFrontendMessage::PasswordMessageFamily(password) => {
                let token = password.into_password()?.password;
                let known = self.planner.epochs.shown().access.reader_of(&token);
                let known = known.filter(|reader| reader.name() == Some(&user(client)));
                match known {
                    Some(reader) => self.welcome(client, reader).await?,
                    None => return Err(PgWireError::InvalidPassword(user(client))),
                }
            }
            _ => {}
        }
        Ok(())
    }
}

#[async_trait]
impl SimpleQueryHandler for Connection {
    async fn do_query<C>(&self, client: &mut C, query: &str) -> PgWireResult<Vec<Response>>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let deadline = self.deadline();
        let work = async {
            let (_, service) = self.planner.service().await?;
            SimpleQueryHandler::do_query(service.as_ref(), client, query).await
        };
        let answers = self.in_time(work).await?;
        Ok(answers.into_iter().map(|answer| self.bounded(answer, deadline)).collect())
    }
}

#[async_trait]
impl ExtendedQueryHandler for Connection {
    type Statement = Planned;
    type QueryParser = Planner;

    fn query_parser(&self) -> Arc<Planner> {
        Arc::clone(&self.planner)
    }

    async fn on_parse<C>(&self, client: &mut C, message: Parse) -> PgWireResult<()>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore<Statement = Planned>,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let name = message.name.clone().unwrap_or_else(|| DEFAULT_NAME.to_owned());
        let work = async {
            let (epoch, service) = self.planner.service().await?;
            Ok((epoch, StoredStatement::parse(client, &message, service.query_parser()).await?))
        };
        let (epoch, statement) = self.in_time(work).await?;
        match statement {
            Some(statement) => {
                self.planned.lock().await.insert(name, (epoch, message.query));
                client.portal_store().put_statement(Arc::new(statement));
            }
            None => client.portal_store().put_empty_statement(&name),
        }
        client.send(PgWireBackendMessage::ParseComplete(ParseComplete::new())).await?;
        Ok(())
    }

    /// A statement that was planned over an older epoch is planned again: drivers keep their statements for hours.
    async fn on_bind<C>(&self, client: &mut C, message: Bind) -> PgWireResult<()>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore<Statement = Planned>,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let name = message.statement_name.as_deref().unwrap_or(DEFAULT_NAME);
        let (newest, service) = self.planner.service().await?;
        let planned = self.planned.lock().await.get(name).cloned();
        if let (Some((epoch, query)), Some(Entry::Value(stored))) =
            (planned, client.portal_store().get_statement(name))
            && epoch != newest
        {
            let parser = service.query_parser();
            let again = self.in_time(parser.parse_sql(client, &query, &stored.parameter_types)).await?;
            if let Some(statement) = again {
                let fresh =
                    StoredStatement::new(stored.id.clone(), statement, stored.parameter_types.clone());
                client.portal_store().put_statement(Arc::new(fresh));
                self.planned.lock().await.insert(name.to_owned(), (newest, query));
            }
        }
        let portal = message.portal_name.as_deref().unwrap_or(DEFAULT_NAME);
        match client.portal_store().get_statement(name) {
            Some(Entry::Value(statement)) => {
                let bound = Portal::try_new(&message, statement)?;
                client.portal_store().put_portal(Arc::new(bound));
            }
            Some(Entry::Empty) => client.portal_store().put_empty_portal(portal),
            None => return Err(PgWireError::StatementNotFound(name.to_owned())),
        }
        client.send(PgWireBackendMessage::BindComplete(BindComplete::new())).await?;
        Ok(())
    }

    async fn do_query<C>(
        &self,
        client: &mut C,
        portal: &Portal<Planned>,
        rows_max: usize,
    ) -> PgWireResult<Response>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore<Statement = Planned>,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let deadline = self.deadline();
        let work = async {
            let (_, service) = self.planner.service().await?;
            ExtendedQueryHandler::do_query(service.as_ref(), client, portal, rows_max).await
        };
        Ok(self.bounded(self.in_time(work).await?, deadline))
    }
}

#[cfg(test)]
mod tests {
    use super::takes_token;

    #[test]
    fn a_token_is_sent_over_tls_or_within_this_machine() {
        for (is_secure, peer, expected) in [
            (true, "10.1.2.3", true),
            (false, "10.1.2.3", false),
            (false, "2001:db8::1", false),
            (false, "127.0.0.1", true),
            (false, "::1", true),
        ] {
            assert_eq!(takes_token(is_secure, peer.parse().expect("an address")), expected, "{peer}");
        }
    }
}
