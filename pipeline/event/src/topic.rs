//! The topics, and how they are made.

/// A topic of the public contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Topic {
    /// Payments of benefits, keyed by person.
    Payments,
    /// Registrations, contacts, activation, language tests, origin; keyed by person.
    Cases,
    /// Monthly wages, keyed by person.
    Income,
    /// Figures that Danmarks Statistik and jobindsats publish, keyed by table.
    Official,
    /// One record per file or poll that brought something, keyed by source.
    Deliveries,
    /// What could not be used, with its bytes; keyed by reason.
    DeadLetter,
}

/// One day in milliseconds.
const DAY_MS: i64 = 86_400_000;

impl Topic {
    /// Every topic.
    pub const ALL: [Self; 6] =
        [Self::Payments, Self::Cases, Self::Income, Self::Official, Self::Deliveries, Self::DeadLetter];

    /// The topic's name on the broker.
    pub fn name(self) -> &'static str {
        match self {
            Self::Payments => "rettidig.payments",
            Self::Cases => "rettidig.cases",
            Self::Income => "rettidig.income",
            Self::Official => "rettidig.official",
            Self::Deliveries => "rettidig.deliveries",
            Self::DeadLetter => "rettidig.dead-letter",
        }
    }

    /// The topic of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|topic| topic.name() == name)
    }

    /// Partitions at creation. Person topics have a power of two that divides the 1,024 person buckets.
    pub fn partitions(self) -> i32 {
        match self {
            Self::Payments | Self::Cases | Self::Income => 16,
            Self::Official => 4,
            Self::Deliveries | Self::DeadLetter => 1,
        }
    }

    /// `retention.ms`. Corrections reach back eight years but travel as new events: the topic has to outlive
    /// a long outage of the pipeline, not the history, which the log keeps.
    pub fn retention_ms(self) -> i64 {
        match self {
            Self::Payments | Self::Cases | Self::Income => 90 * DAY_MS,
            Self::Official | Self::Deliveries | Self::DeadLetter => 400 * DAY_MS,
        }
    }

    /// `max.message.bytes`. Larger than any good event, so that a bad one reaches the dead letter with its
    /// bytes; the dead letter holds them in base64.
    pub fn max_message_bytes(self) -> i32 {
        match self {
            Self::DeadLetter => 32 << 20,
            _ => 16 << 20,
        }
    }
}
