//! Consumer groups (the classic protocol): who is in a group, which generation it is in, and what the leader
//! assigned. Only in memory: after a restart the members join again, and their committed offsets are in
//! `commits`. Times are durations of the monotonic clock. A rebalance begins at once, without the delay that
//! Kafka adds for a new group, because a reader that starts should not wait.
//!
//! Refused: static membership (group.instance.id) and the consumer protocol of KIP-848.

use bytes::Bytes;
use kafka_protocol::ResponseError;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

const GROUPS_MAX: usize = 10_000;
const MEMBERS_MAX: usize = 1_000;
/// Longest group name, in bytes.
pub(crate) const NAME_BYTES_MAX: usize = 1_024;
/// Session timeouts that are accepted. Kafka's least is 6 s; tests want shorter ones.
const SESSION_TIMEOUT_MS: std::ops::RangeInclusive<i32> = 1_000..=1_800_000;

/// Wire code of a request that was not served.
pub(crate) type Refusal = ResponseError;

/// A request to join.
pub(crate) struct Join {
    pub group: String,
    /// Empty for a new member.
    pub member: String,
    pub client: String,
    pub session_timeout_ms: i32,
    pub rebalance_timeout_ms: i32,
    pub protocol_type: String,
    /// Name and metadata, preferred first.
    pub protocols: Vec<(String, Bytes)>,
    /// A new member is first told its id and must ask again with it (KIP-394).
    pub id_required: bool,
}

/// The answer to a join, or the reason against it with the member id to use.
#[derive(Debug, Clone)]
pub(crate) struct Joined {
    pub generation: i32,
    pub protocol: String,
    pub leader: String,
    pub member: String,
    /// Only for the leader: all members with their metadata.
    pub members: Vec<(String, Bytes)>,
}

/// A join that is answered now, or later.
pub(crate) enum JoinReply {
    Now(Result<Joined, Refusal>),
    IdRequired(String),
    Later(oneshot::Receiver<Joined>),
}

/// A sync that is answered now, or later.
pub(crate) enum SyncReply {
    Now(Result<Bytes, Refusal>),
    Later(oneshot::Receiver<Result<Bytes, Refusal>>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Members are asked to join; until all have, or this moment.
    Joining { until: Instant },
    /// The leader is working out the assignment.
    Syncing,
    /// All have their assignment.
    Stable,
}

#[derive(Debug)]
struct Member {
    session_timeout: Duration,
    rebalance_timeout: Duration,
    protocols: Vec<(String, Bytes)>,
    assignment: Bytes,
    /// When the member counts as dead, unless it waits for an answer.
    expires: Instant,
    join: Option<oneshot::Sender<Joined>>,
    sync: Option<oneshot::Sender<Result<Bytes, Refusal>>>,
}

impl Member {
    fn is_waiting(&self) -> bool {
        self.join.is_some() || self.sync.is_some()
    }
}

#[derive(Debug)]
struct Group {
    phase: Phase,
    generation: i32,
    protocol_type: String,
    protocol: String,
    leader: String,
    members: BTreeMap<String, Member>,
    /// Ids given out but not yet used, and when they lapse.
    promised: BTreeMap<String, Instant>,
}

/// All groups.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    groups: Mutex<HashMap<String, Group>>,
    /// A deadline may have come nearer.
    changed: Notify,
}

impl Groups {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Group>> {
        self.groups.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Removes members that went silent and ends rebalances that took too long, until cancelled.
    pub(crate) async fn watch_deadlines(&self, stop: CancellationToken) {
        loop {
            let next = {
                let mut groups = self.lock();
                let now = Instant::now();
                groups.values_mut().for_each(|group| group.expire(now));
                groups.retain(|_, group| !group.members.is_empty() || !group.promised.is_empty());
                groups.values().filter_map(Group::next_deadline).min()
            };
            let deadline = async {
                match next {
                    Some(next) => tokio::time::sleep_until(next).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.changed.notified() => {}
                () = deadline => {}
            }
        }
    }

    /// Joins a group.
    pub(crate) fn join(&self, join: Join) -> JoinReply {
        if join.group.is_empty() || join.group.len() > NAME_BYTES_MAX {
            return JoinReply::Now(Err(Refusal::InvalidGroupId));
        }
        if !SESSION_TIMEOUT_MS.contains(&join.session_timeout_ms) {
            return JoinReply::Now(Err(Refusal::InvalidSessionTimeout));
        }
        if join.protocols.is_empty() || join.protocol_type.is_empty() {
            return JoinReply::Now(Err(Refusal::InconsistentGroupProtocol));
        }
        let mut groups = self.lock();
        if !groups.contains_key(&join.group) {
            if !join.member.is_empty() {
                return JoinReply::Now(Err(Refusal::UnknownMemberId));
            }
            if groups.len() >= GROUPS_MAX {
                return JoinReply::Now(Err(Refusal::CoordinatorNotAvailable));
            }
        }
        let group = groups.entry(join.group.clone()).or_insert_with(|| Group::new(&join.protocol_type));
        let reply = group.join(join);
        drop(groups);
        self.changed.notify_one();
        reply
    }

    /// Hands in the assignment (leader) or asks for it.
    pub(crate) fn sync(
        &self,
        group: &str,
        member: &str,
        generation: i32,
        assignments: Vec<(String, Bytes)>,
    ) -> SyncReply {
        let mut groups = self.lock();
        match member_of(&mut groups, group, member, generation) {
            Ok(group) => group.sync(member, assignments),
            Err(refusal) => SyncReply::Now(Err(refusal)),
        }
    }

    /// Keeps a member alive.
    pub(crate) fn heartbeat(&self, group: &str, member: &str, generation: i32) -> Result<(), Refusal> {
        let mut groups = self.lock();
        let group = member_of(&mut groups, group, member, generation)?;
        group.touch(member);
        if matches!(group.phase, Phase::Joining { .. }) { Err(Refusal::RebalanceInProgress) } else { Ok(()) }
    }

    /// Removes a member; the others rebalance.
    pub(crate) fn leave(&self, group: &str, member: &str) -> Result<(), Refusal> {
        let mut groups = self.lock();
        let group = groups.get_mut(group).ok_or(Refusal::UnknownMemberId)?;
        if group.promised.remove(member).is_some() {
            group.complete_join_if_all();
        } else {
            group.members.remove(member).ok_or(Refusal::UnknownMemberId)?;
            group.rebalance();
        }
        drop(groups);
        self.changed.notify_one();
        Ok(())
    }

    /// Whether a commit of this member and generation counts. Without a generation it does when the group
    /// has no members.
    pub(crate) fn check_commit(&self, group: &str, member: &str, generation: i32) -> Result<(), Refusal> {
        let mut groups = self.lock();
        let has_members = groups.get(group).is_some_and(|group| !group.members.is_empty());
        if generation < 0 && !has_members {
            return Ok(());
        }
        let group = member_of(&mut groups, group, member, generation)?;
        group.touch(member);
        if group.phase == Phase::Syncing { Err(Refusal::RebalanceInProgress) } else { Ok(()) }
    }
}

fn member_of<'a>(
    groups: &'a mut HashMap<String, Group>,
    group: &str,
    member: &str,
    generation: i32,
) -> Result<&'a mut Group, Refusal> {
    let group = groups.get_mut(group).ok_or(Refusal::UnknownMemberId)?;
    if !group.members.contains_key(member) {
        return Err(Refusal::UnknownMemberId);
    }
    if group.generation != generation {
        return Err(Refusal::IllegalGeneration);
    }
    Ok(group)
}

impl Group {
    fn new(protocol_type: &str) -> Self {
        Self {
            phase: Phase::Stable,
            generation: 0,
            protocol_type: protocol_type.to_owned(),
            protocol: String::new(),
            leader: String::new(),
            members: BTreeMap::new(),
            promised: BTreeMap::new(),
        }
    }

    fn join(&mut self, join: Join) -> JoinReply {
        let now = Instant::now();
        let known = self.members.get(&join.member);
        let others = self.members.iter().filter(|(id, _)| **id != join.member);
        if join.protocol_type != self.protocol_type || !shared_protocol(others, &join.protocols) {
            return JoinReply::Now(Err(Refusal::InconsistentGroupProtocol));
        }
        if known.is_none() && self.members.len() + self.promised.len() >= MEMBERS_MAX {
            return JoinReply::Now(Err(Refusal::GroupMaxSizeReached));
        }
        let session_timeout = milliseconds(join.session_timeout_ms);
        let mut id = join.member;
        if id.is_empty() {
            id = format!("{}-{:032x}", join.client, fastrand::u128(..));
            if join.id_required {
                self.promised.insert(id.clone(), now + session_timeout);
                return JoinReply::IdRequired(id);
            }
        } else if let Some(member) = known {
            let unchanged = member.protocols == join.protocols;
            let again = match self.phase {
                Phase::Joining { .. } => false,
                Phase::Syncing => unchanged,
                Phase::Stable => unchanged && id != self.leader,
            };
            if again {
                self.touch(&id);
                return JoinReply::Now(Ok(self.joined(&id)));
            }
        } else if self.promised.remove(&id).is_none() {
            return JoinReply::Now(Err(Refusal::UnknownMemberId));
        }
        let (answer, later) = oneshot::channel();
        let member = Member {
            session_timeout,
            rebalance_timeout: milliseconds(join.rebalance_timeout_ms.max(join.session_timeout_ms)),
            protocols: join.protocols,
            assignment: Bytes::new(),
            expires: now + session_timeout,
            join: Some(answer),
            sync: None,
        };
        // Replacing a member that waits already drops its channel: the older request is answered as failed.
        self.members.insert(id, member);
        self.rebalance();
        JoinReply::Later(later)
    }

    /// Asks all members to join again, if that is not under way.
    fn rebalance(&mut self) {
        if !matches!(self.phase, Phase::Joining { .. }) {
            for member in self.members.values_mut() {
                if let Some(sync) = member.sync.take() {
                    let _ = sync.send(Err(Refusal::RebalanceInProgress));
                }
            }
            let longest = self.members.values().map(|member| member.rebalance_timeout).max();
            self.phase = Phase::Joining { until: Instant::now() + longest.unwrap_or_default() };
        }
        self.complete_join_if_all();
    }

    fn complete_join_if_all(&mut self) {
        let all = self.promised.is_empty() && self.members.values().all(|member| member.join.is_some());
        if matches!(self.phase, Phase::Joining { .. }) && all {
            self.complete_join();
        }
    }

    fn complete_join(&mut self) {
        self.members.retain(|_, member| member.join.is_some());
        self.generation += 1;
        self.phase = Phase::Syncing;
        if !self.members.contains_key(&self.leader) {
            self.leader = self.members.keys().next().cloned().unwrap_or_default();
        }
        self.protocol = self.choose_protocol();
        let ids: Vec<String> = self.members.keys().cloned().collect();
        for id in ids {
            let joined = self.joined(&id);
            self.touch(&id);
            if let Some(join) = self.members.get_mut(&id).and_then(|member| member.join.take()) {
                let _ = join.send(joined);
            }
        }
    }

    /// The leader's first protocol that all members know.
    fn choose_protocol(&self) -> String {
        let known_by_all = |name: &str| {
            self.members.values().all(|member| member.protocols.iter().any(|(known, _)| known == name))
        };
        let preferred = self.members.get(&self.leader).map(|leader| leader.protocols.as_slice());
        let chosen = preferred.unwrap_or_default().iter().find(|(name, _)| known_by_all(name));
        chosen.map(|(name, _)| name.clone()).unwrap_or_default()
    }

    fn joined(&self, id: &str) -> Joined {
        let metadata = |member: &Member| {
            let chosen = member.protocols.iter().find(|(name, _)| *name == self.protocol);
            chosen.map(|(_, metadata)| metadata.clone()).unwrap_or_default()
        };
        let members = if id == self.leader {
            self.members.iter().map(|(id, member)| (id.clone(), metadata(member))).collect()
        } else {
            Vec::new()
        };
        Joined {
            generation: self.generation,
            protocol: self.protocol.clone(),
            leader: self.leader.clone(),
            member: id.to_owned(),
            members,
        }
    }

    fn sync(&mut self, id: &str, assignments: Vec<(String, Bytes)>) -> SyncReply {
        self.touch(id);
        match self.phase {
            Phase::Joining { .. } => return SyncReply::Now(Err(Refusal::RebalanceInProgress)),
            Phase::Syncing if id == self.leader => {
                for (member, assignment) in assignments {
                    if let Some(member) = self.members.get_mut(&member) {
                        member.assignment = assignment;
                    }
                }
                self.phase = Phase::Stable;
                let now = Instant::now();
                for member in self.members.values_mut() {
                    if let Some(sync) = member.sync.take() {
                        member.expires = now + member.session_timeout;
                        let _ = sync.send(Ok(member.assignment.clone()));
                    }
                }
            }
            Phase::Syncing => {
                let (answer, later) = oneshot::channel();
                if let Some(member) = self.members.get_mut(id) {
                    member.sync = Some(answer);
                }
                return SyncReply::Later(later);
            }
            Phase::Stable => {}
        }
        let assignment = self.members.get(id).map(|member| member.assignment.clone());
        SyncReply::Now(assignment.ok_or(Refusal::UnknownMemberId))
    }

    fn touch(&mut self, id: &str) {
        if let Some(member) = self.members.get_mut(id) {
            member.expires = Instant::now() + member.session_timeout;
        }
    }

    fn next_deadline(&self) -> Option<Instant> {
        let sessions =
            self.members.values().filter(|member| !member.is_waiting()).map(|member| member.expires);
        let joining = match self.phase {
            Phase::Joining { until } => Some(until),
            _ => None,
        };
        sessions.chain(self.promised.values().copied()).chain(joining).min()
    }

    fn expire(&mut self, now: Instant) {
        let members = self.members.len();
        self.members.retain(|_, member| member.is_waiting() || member.expires > now);
        self.promised.retain(|_, lapses| *lapses > now);
        if self.members.len() < members {
            self.rebalance();
        }
        match self.phase {
            Phase::Joining { until } if until <= now => self.complete_join(),
            _ => self.complete_join_if_all(),
        }
    }
}

fn shared_protocol<'a>(
    others: impl Iterator<Item = (&'a String, &'a Member)> + Clone,
    protocols: &[(String, Bytes)],
) -> bool {
    let knows = |member: &Member, name: &str| member.protocols.iter().any(|(known, _)| known == name);
    protocols.iter().any(|(name, _)| others.clone().all(|(_, member)| knows(member, name)))
}

fn milliseconds(count: i32) -> Duration {
    Duration::from_millis(u64::try_from(count).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn join(member: &str, protocols: &[&str]) -> Join {
        Join {
            group: "group".to_owned(),
            member: member.to_owned(),
            client: "client".to_owned(),
            session_timeout_ms: 1_000,
            rebalance_timeout_ms: 1_000,
            protocol_type: "consumer".to_owned(),
            protocols: protocols.iter().map(|name| ((*name).to_owned(), Bytes::new())).collect(),
            id_required: false,
        }
    }

    async fn joined(reply: JoinReply) -> Joined {
        match reply {
            JoinReply::Later(joined) => joined.await.expect("an answer"),
            JoinReply::Now(joined) => joined.expect("joined"),
            JoinReply::IdRequired(_) => panic!("an id was required"),
        }
    }

    fn refused(reply: JoinReply) -> Option<Refusal> {
        match reply {
            JoinReply::Now(joined) => joined.err(),
            _ => None,
        }
    }

    /// Goal: a member that goes silent is removed, and the other is told to join again. Method: two members;
    /// one only joins, the other sends heartbeats until the answer changes.
    #[tokio::test]
    async fn silent_member_is_removed() {
        let groups = Arc::new(Groups::default());
        let stop = CancellationToken::new();
        let watch = tokio::spawn({
            let (groups, stop) = (Arc::clone(&groups), stop.clone());
            async move { groups.watch_deadlines(stop).await }
        });
        let alive = joined(groups.join(join("", &["range"]))).await.member;
        let second = groups.join(join("", &["range", "other"]));
        let first = groups.join(join(&alive, &["range"]));
        let (first, second) = (joined(first).await, joined(second).await);
        assert_eq!((first.generation, second.generation), (2, 2));
        assert_eq!((first.protocol.as_str(), first.members.len() + second.members.len()), ("range", 2));
        // The one that stays hands in nothing: only that it lives counts.
        let told = tokio::time::timeout(Duration::from_secs(20), async {
            while groups.heartbeat("group", &alive, 2) != Err(Refusal::RebalanceInProgress) {
                tokio::task::yield_now().await;
            }
        });
        told.await.expect("the rebalance begins");
        let alone = joined(groups.join(join(&alive, &["range"]))).await;
        assert_eq!((alone.generation, alone.members.len()), (3, 1));
        assert_eq!(groups.heartbeat("group", &second.member, 3), Err(Refusal::UnknownMemberId));
        assert_eq!(groups.heartbeat("group", &alive, 2), Err(Refusal::IllegalGeneration));
        stop.cancel();
        watch.await.expect("ended");
    }

    #[tokio::test]
    async fn strangers_are_refused() {
        let groups = Groups::default();
        assert_eq!(refused(groups.join(join("nobody", &["range"]))), Some(Refusal::UnknownMemberId));
        assert_eq!(refused(groups.join(join("", &[]))), Some(Refusal::InconsistentGroupProtocol));
        let member = joined(groups.join(join("", &["range"]))).await.member;
        assert_eq!(refused(groups.join(join("", &["other"]))), Some(Refusal::InconsistentGroupProtocol));
        assert_eq!(groups.check_commit("group", "", -1), Err(Refusal::UnknownMemberId));
        assert_eq!(groups.check_commit("group", &member, 1), Err(Refusal::RebalanceInProgress));
        assert!(matches!(groups.sync("group", &member, 1, Vec::new()), SyncReply::Now(Ok(_))));
        assert_eq!(groups.check_commit("group", &member, 1), Ok(()));
        assert_eq!(groups.check_commit("elsewhere", "", -1), Ok(()));
        assert_eq!(groups.leave("group", &member), Ok(()));
        assert_eq!(groups.check_commit("group", "", -1), Ok(()));
    }

    #[tokio::test]
    async fn new_member_is_told_its_id_first() {
        let groups = Groups::default();
        let asked = Join { id_required: true, ..join("", &["range"]) };
        let JoinReply::IdRequired(id) = groups.join(asked) else { panic!("no id was given") };
        assert_eq!(joined(groups.join(join(&id, &["range"]))).await.member, id);
    }
}
