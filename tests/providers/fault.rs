//! What goes wrong on the way: which request is hit, how often, and how. The wording of an error is the provider's.

use std::time::Duration;

use super::server::Request;

#[derive(Clone, Debug)]
pub struct Fault {
    /// `*` for any.
    pub method: String,
    pub host: String,
    /// The end of the path, without query.
    pub path_end: String,
    /// So many matching requests pass before the first is hit.
    pub skip: u32,
    /// So many are hit.
    pub times: u32,
    pub kind: FaultKind,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum FaultKind {
    /// 429 in the provider's form, nothing done; `Retry-After` in seconds, or absent.
    TooMany { retry_after: Option<u32> },
    /// The provider's error body with this status, nothing done.
    Status(u16),
    /// An HTML page as an edge in front of the provider sends it, nothing done.
    Html(u16),
    /// The connection ends without an answer, nothing done.
    LostRequest,
    /// Done as asked, then the connection ends without an answer.
    LostAnswer,
    /// Done as asked; the body breaks off half-way.
    CutAnswer,
    /// Done as asked, answered after this time.
    Slow(Duration),
}

impl Fault {
    /// Hits the first request that matches, once.
    pub fn once(method: &str, host: &str, path_end: &str, kind: FaultKind) -> Self {
        let (method, host, path_end) = (method.to_owned(), host.to_owned(), path_end.to_owned());
        Fault { method, host, path_end, skip: 0, times: 1, kind }
    }

    pub fn times(self, times: u32) -> Self {
        Fault { times, ..self }
    }

    pub fn after(self, skip: u32) -> Self {
        Fault { skip, ..self }
    }

    fn matches(&self, request: &Request) -> bool {
        (self.method == "*" || self.method == request.method)
            && self.host == request.host
            && request.path.ends_with(&self.path_end)
    }
}

/// The fault that hits `request`, counted.
pub fn strike(faults: &mut [Fault], request: &Request) -> Option<FaultKind> {
    for fault in faults.iter_mut().filter(|fault| fault.times > 0 && fault.matches(request)) {
        if fault.skip > 0 {
            fault.skip -= 1;
            continue;
        }
        fault.times -= 1;
        return Some(fault.kind.clone());
    }
    None
}
