//! The knobs: credentials, what exists at the start, and which of the legal (or illegal) behaviours a provider shows.
//! Its defaults take, wherever the facts say "not verified", the legal variant that a playbook least expects.

use super::cloudflare;
use super::fault::Fault;
use super::fresh::{self, TimeStyle};
use super::{heroku, infisical};

/// Set what matters to a test and take the rest from [`Setup::default`] or [`Setup::awkward`].
pub struct Setup {
    // Credentials: what the tests hand to the playbook. The Cloudflare values are in the state.
    pub infisical_token: String,
    /// Of universal-auth login, which gives out `infisical_token`.
    pub infisical_client: (String, String),
    pub heroku_key: String,
    pub github_token: String,
    pub slack_token: String,
    pub ops_session: String,
    pub audit_token: String,
    pub account_id: String,

    // How answers look, at all providers.
    /// Members of every JSON object in reverse order.
    pub reversed: bool,
    /// Unknown members in every JSON object of a provider whose description leaves them open.
    pub extra_members: bool,
    /// White space between JSON tokens, and non-ASCII as it is.
    pub pretty: bool,
    /// `Transfer-Encoding: chunked` in small pieces instead of `Content-Length`.
    pub chunked: bool,
    pub header_case: HeaderCase,
    /// One form for all times; otherwise each provider's own.
    pub times: Option<TimeStyle>,
    pub faults: Vec<Fault>,

    // Cloudflare.
    pub propagation: Propagation,
    pub rolled: Rolled,
    /// Tokens beside the three rotated ones and `rotation`. The rotated ones are the oldest, the listing shows the
    /// newest first: with 20 or more they are on the second page of 20.
    pub other_tokens: usize,
    /// A second token of each of these names, newer than the first.
    pub twice: Vec<String>,
    /// Name, and days until `expires_on` (negative: it has passed).
    pub expires_in_days: Vec<(String, i64)>,
    /// Status `disabled`.
    pub disabled: Vec<String>,
    /// Rolling is refused (403) although the token may read tokens.
    pub roll_refused: bool,
    /// The server's own limit of items a page, whatever `per_page` asks for.
    pub page_cap: Option<usize>,
    /// `result_info` in listings; the description doesn't require it.
    pub result_info: bool,
    /// Pages projects of the account.
    pub pages_projects: usize,

    // Infisical.
    pub policies: Vec<(String, infisical::ChangePolicy)>,
    /// Projects whose folder `/MooseQuest/cloudflare` doesn't exist.
    pub missing_folders: Vec<String>,
    /// Projects in which the identity may write and describe, but not read values.
    pub hidden_values: Vec<String>,
    /// Projects the identity isn't a member of.
    pub foreign_projects: Vec<String>,

    // Heroku. By app name; an app not named behaves well.
    pub heroku_access: Vec<(String, heroku::Access)>,
    /// Polls that still show everything as it was, after a release is through.
    pub dyno_polls: u32,
    /// Dynos that crash when they start on a new release: app and dyno name.
    pub crashing_dynos: Vec<(String, String)>,
    /// Polls for which a new release is `pending`; then it succeeds.
    pub release_polls: u32,
    /// Apps whose release phase fails: config vars are changed, dynos never move.
    pub failing_releases: Vec<String>,
    /// Health calls that old web dynos answer after the new ones are up (Preboot).
    pub preboot_calls: u32,
    /// Setting config vars to what they are makes a release.
    pub unchanged_makes_release: bool,
    /// A running Heroku Scheduler job: one more one-off, on the old release, of type `scheduler`, gone after 9 polls.
    pub scheduler_job: bool,
    /// Releases of `raxx-api-prod` at the start. Above 200 a list without `Range` doesn't reach the newest.
    pub prod_releases: u32,

    // GitHub.
    pub github_access: GithubAccess,

    // Slack.
    /// Every message is refused with HTTP 200 and this `error`.
    pub slack_error: Option<String>,

    // raxx.
    /// Status of a health page that reports a dependency as not ok.
    pub unhealthy_status: u16,
    /// Health calls answered from a memory of the answer before.
    pub health_memory: u32,
}

/// The order in which uses of a value are accepted after a roll, the first one first. After the end of the list the
/// new value is accepted and the old one refused.
#[derive(Clone, Default)]
pub struct Propagation {
    pub new: Vec<bool>,
    pub old: Vec<bool>,
}

impl Propagation {
    /// The new value is refused `refused` times, the old one still accepted `accepted` times.
    pub fn delayed(refused: usize, accepted: usize) -> Self {
        Propagation { new: vec![false; refused], old: vec![true; accepted] }
    }

    /// Edges disagree: the new value is accepted, then refused again.
    pub fn wavering() -> Self {
        Propagation { new: vec![false, true, false], old: vec![true] }
    }
}

/// The form of rolled values; the description says 40 to 80 characters.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Rolled {
    /// `cfut_` and 75 of `[A-Za-z0-9_-]`.
    Long,
    /// 40 characters, the first one a `-`: an option to any program that gets it as an argument.
    LeadingDash,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum HeaderCase {
    /// `Content-Type`
    Title,
    /// `content-type`
    Lower,
    /// `CONTENT-TYPE`
    Upper,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum GithubAccess {
    Collaborator,
    /// The public key can be had, secrets can be neither read nor written (403).
    ReadOnly,
    /// The repository "doesn't exist" (404).
    None,
}

impl Default for Setup {
    fn default() -> Self {
        Setup {
            infisical_token: jwt(),
            infisical_client: (fresh::uuid(), fresh::hex(64)),
            heroku_key: format!("HRKU-{}", fresh::text(60, fresh::URL_SAFE)),
            github_token: format!(
                "github_pat_{}_{}",
                fresh::text(22, fresh::ALPHANUMERIC),
                fresh::text(59, fresh::ALPHANUMERIC)
            ),
            slack_token: format!(
                "xoxb-{}-{}-{}",
                fresh::text(12, fresh::DIGITS),
                fresh::text(13, fresh::DIGITS),
                fresh::text(24, fresh::ALPHANUMERIC)
            ),
            ops_session: fresh::text(43, fresh::URL_SAFE),
            audit_token: fresh::text(48, fresh::URL_SAFE),
            account_id: fresh::hex(32),
            reversed: false,
            extra_members: false,
            pretty: false,
            chunked: false,
            header_case: HeaderCase::Title,
            times: None,
            faults: Vec::new(),
            propagation: Propagation::delayed(2, 1),
            rolled: Rolled::Long,
            other_tokens: 24,
            twice: Vec::new(),
            expires_in_days: Vec::new(),
            disabled: Vec::new(),
            roll_refused: false,
            page_cap: None,
            result_info: true,
            pages_projects: 3,
            policies: Vec::new(),
            missing_folders: Vec::new(),
            hidden_values: Vec::new(),
            foreign_projects: Vec::new(),
            heroku_access: Vec::new(),
            dyno_polls: 1,
            crashing_dynos: Vec::new(),
            release_polls: 0,
            failing_releases: Vec::new(),
            preboot_calls: 0,
            unchanged_makes_release: false,
            scheduler_job: false,
            prod_releases: 231,
            github_access: GithubAccess::Collaborator,
            slack_error: None,
            unhealthy_status: 503,
            health_memory: 0,
        }
    }
}

impl Setup {
    /// Everything that is legal, inconvenient and can be borne, at once: a right playbook passes here too.
    pub fn awkward() -> Self {
        let too_many = |method: &str, host: &str, path_end: &str| {
            let kind = super::FaultKind::TooMany { retry_after: Some(1) };
            Fault::once(method, host, path_end, kind)
        };
        Setup {
            reversed: true,
            extra_members: true,
            pretty: true,
            chunked: true,
            header_case: HeaderCase::Lower,
            times: Some(TimeStyle::Ahead),
            faults: vec![
                too_many("GET", cloudflare::HOST, "/user/tokens"),
                too_many("PATCH", heroku::HOST, "/config-vars"),
                too_many("*", infisical::HOST, "/CF_PAGES_DEPLOY"),
            ],
            propagation: Propagation { new: vec![false, false, true, false], old: vec![true, true] },
            other_tokens: 46,
            page_cap: Some(7),
            result_info: false,
            dyno_polls: 2,
            release_polls: 2,
            preboot_calls: 3,
            scheduler_job: true,
            health_memory: 1,
            ..Setup::default()
        }
    }

    /// As plain as the providers can be: no delays, no surprises of form.
    pub fn plain() -> Self {
        Setup { propagation: Propagation::default(), dyno_polls: 0, prod_releases: 41, ..Setup::default() }
    }
}

fn jwt() -> String {
    format!(
        "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJ{}.{}",
        fresh::text(120, fresh::URL_SAFE),
        fresh::text(43, fresh::URL_SAFE)
    )
}
