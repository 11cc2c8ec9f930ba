//! Owns telling what broke in an exchange: in which phase, whether anything was sent, in words without the URL.
//! Deliberately takes only the innermost cause of an error: the outer ones print URLs with their queries.

use super::clients::Line;
use super::names::PrivateAddress;
use super::unsent;
use crate::action::{ActionError, Sent};
use crate::plan::permissions::address::Kind;
use std::error::Error;
use std::io;
use url::Url;

/// Why no answer began.
pub(super) fn of_sending(error: reqwest::Error, url: &Url, line: &Line) -> ActionError {
    let place = place(url);
    if let Some(found) = find::<PrivateAddress>(&error) {
        return ActionError::Refused {
            message: format!("{found}, and the rule of `permissions.net` does not allow that"),
            help: Some(match found.kind {
                Kind::Private(_) => {
                    format!("add ` private` at the end of the rule for `{}`, if it is meant to be there", found.name)
                }
                Kind::Walled(_) => {
                    "no rule for a name leads there, with `private` neither: what is meant to ask a cloud \
                                    for its metadata has a rule that spells the address"
                        .into()
                }
            }),
        };
    }
    if error.is_builder() {
        return unsent(format!("the request to {place} cannot be made: {}", deepest(&error)));
    }
    let is_tls = find::<rustls::Error>(&error);
    let (phase, message) = match () {
        () if error.is_connect() && error.is_timeout() => {
            ("connecting", format!("no connection within {}", crate::plan::duration::show(line.connect_timeout)))
        }
        () if error.is_dns() => ("resolving", deepest(&error)),
        () if is_tls.is_some() => ("TLS", tls_message(is_tls, &error)),
        () if error.is_connect() => ("connecting", deepest(&error)),
        () if find::<hyper::Error>(&error).is_some_and(hyper::Error::is_incomplete_message) => {
            ("reading", "the connection was closed before an answer came".into())
        }
        () => ("sending", deepest(&error)),
    };
    let sent = if error.is_connect() { Sent::No } else { Sent::Perhaps };
    ActionError::Transport { phase, message: format!("{place}: {message}"), sent }
}

/// Why an answer that began did not end.
pub(super) fn of_reading(error: reqwest::Error, url: &Url) -> ActionError {
    let message = if find::<io::Error>(&error).is_some_and(|error| error.kind() == io::ErrorKind::UnexpectedEof) {
        "the connection was closed in the middle of the answer".into()
    } else {
        deepest(&error)
    };
    ActionError::Transport { phase: "reading", message: format!("{}: {message}", place(url)), sent: Sent::Perhaps }
}

/// The same error, of a hop after the first: the first one was answered, so something was sent.
pub(super) fn after_the_first(error: ActionError) -> ActionError {
    match error {
        ActionError::Transport { phase, message, .. } => ActionError::Transport { phase, message, sent: Sent::Perhaps },
        ActionError::Timeout { after, .. } => ActionError::Timeout { after, sent: Sent::Perhaps },
        ActionError::Failed { message, .. } => ActionError::Failed { message, sent: Sent::Perhaps },
        ActionError::Interrupted { .. } => ActionError::Interrupted { sent: Sent::Perhaps },
        refused @ ActionError::Refused { .. } => refused,
    }
}

/// The innermost cause, in words.
pub(super) fn deepest(error: &(dyn Error + 'static)) -> String {
    let last = causes(error).last().unwrap_or(error);
    match last.downcast_ref::<io::Error>() {
        Some(error) if error.kind() != io::ErrorKind::Other && error.raw_os_error().is_some() => {
            error.kind().to_string()
        }
        _ => last.to_string(),
    }
}

fn tls_message(known: Option<&rustls::Error>, error: &reqwest::Error) -> String {
    match known {
        Some(rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer)) => {
            "the server's certificate is signed by nobody that this machine trusts; give its CA as `tls: {ca: FILE}`"
                .into()
        }
        Some(known) => known.to_string(),
        None => deepest(error),
    }
}

fn place(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_string(),
    }
}

fn find<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    causes(error).find_map(|cause| cause.downcast_ref())
}

/// The error's causes, outermost first. An `io::Error` hides what it was made from: its `source` skips it.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(error.source(), |cause| {
        let cause: &'a (dyn Error + 'static) = *cause;
        match cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(inner) => Some(inner as &(dyn Error + 'static)),
            None => cause.source(),
        }
    })
}
