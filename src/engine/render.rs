//! Owns turning an action's templates into an action that can be performed.
//! Deliberately sends nothing; what may not be sent is judged where it is sent.

use super::scope::With;
use crate::action::{Births, TemporaryFolder, exec, http};
use crate::event::FailureKind;
use crate::plan::{self, duration};
use crate::secret::Taint;
use crate::template::{Template, TemplateError};
use crate::value::{Names, Value};
use serde_json::Value as Json;
use std::path::{Path, PathBuf};
use std::time::Duration;
use zeroize::Zeroizing;

/// Why an action could not be rendered.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    #[error(transparent)]
    Template(#[from] TemplateError),
    #[error("{0}")]
    Value(String),
    /// A secret would stand where everybody sees it.
    #[error("{0} would hold a secret")]
    Secret(String),
}

impl RenderError {
    pub fn kind(&self) -> FailureKind {
        match self {
            RenderError::Secret(_) => FailureKind::Refused,
            RenderError::Template(_) | RenderError::Value(_) => FailureKind::Evaluation,
        }
    }
}

pub fn http(
    written: &plan::Http,
    names: &dyn Names,
    births: &Births,
    folder: &Path,
) -> Result<http::Request, RenderError> {
    let get_like = matches!(written.method.as_str(), "GET" | "HEAD");
    Ok(http::Request {
        method: written.method.clone(),
        url: written.url.render_text(names)?,
        query: one_each(named(&written.query, names)?),
        headers: named(&written.headers, names)?,
        auth: match &written.auth {
            None => None,
            Some(plan::Auth::Bearer(token)) => Some(http::Auth::Bearer(token.render_text(names)?)),
            Some(plan::Auth::Basic { user, password }) => {
                Some(http::Auth::Basic { user: user.render_text(names)?, password: password.render_text(names)? })
            }
        },
        body: body(&written.body, names, births, folder)?,
        timeout: optional_duration(written.timeout.as_ref(), names, births)?,
        connect_timeout: optional_duration(written.connect_timeout.as_ref(), names, births)?,
        redirects: written.redirects.unwrap_or(if get_like { 10 } else { 0 }),
        tls: match &written.tls {
            None => None,
            Some(tls) => Some(http::Tls {
                ca: optional_path(tls.ca.as_ref(), names, births, folder)?,
                client_cert: optional_path(tls.client_cert.as_ref(), names, births, folder)?,
                client_key: optional_path(tls.client_key.as_ref(), names, births, folder)?,
                min_version: tls.min_version.clone(),
            }),
        },
        proxy: match &written.proxy {
            None => None,
            Some(template) => Some(public_text(template, names, births, "`proxy`")?).filter(|text| !text.is_empty()),
        },
        cookies: written.cookies.clone(),
        max_body: written.max_body,
        folder: folder.to_path_buf(),
    })
}

fn body(written: &plan::Body, names: &dyn Names, births: &Births, folder: &Path) -> Result<http::Body, RenderError> {
    Ok(match written {
        plan::Body::None => http::Body::None,
        plan::Body::Json(template) => http::Body::Json(template.render(names)?),
        plan::Body::Form(fields) => http::Body::Form(one_each(named(fields, names)?)),
        plan::Body::Text(template) => http::Body::Text(template.render_text(names)?),
        plan::Body::File(template) => http::Body::File(path(template, names, births, folder)?),
        plan::Body::Multipart(parts) => {
            let mut rendered = Vec::new();
            for (name, part) in parts {
                let part = match part {
                    plan::PartSource::Text(template) => http::PartSource::Text(template.render_text(names)?),
                    plan::PartSource::File { path: file, filename, content_type } => {
                        let text = |template: &Option<Template>, what: &str| match template {
                            None => Ok(None),
                            Some(template) => public_text(template, names, births, what).map(Some),
                        };
                        http::PartSource::File {
                            path: path(file, names, births, folder)?,
                            filename: text(filename, "`filename`")?,
                            content_type: text(content_type, "`content_type`")?,
                        }
                    }
                };
                rendered.push((name.clone(), part));
            }
            http::Body::Multipart(rendered)
        }
    })
}

/// A program with its private files, which go when the folder is dropped.
pub struct ReadyProgram {
    pub command: exec::Command,
    /// Held for as long as the program runs.
    _folder: Option<TemporaryFolder>,
}

pub fn program(
    written: &plan::Exec,
    names: &dyn Names,
    births: &Births,
    folder: &Path,
) -> Result<ReadyProgram, RenderError> {
    let mut private = None;
    let mut also_given = Vec::new();
    let mut paths = Vec::new();
    if written.needs_folder {
        let made = TemporaryFolder::new()
            .map_err(|error| RenderError::Value(format!("no private folder can be made for `files`: {error}")))?;
        for (name, template) in &written.files {
            let content = template.render_text(names)?;
            let file = made
                .write(name, Zeroizing::new(content.expose_text()).as_bytes())
                .map_err(|error| RenderError::Value(format!("the private file `{name}` cannot be written: {error}")))?;
            paths.push((name.clone(), file.display().to_string()));
            also_given.push(content);
        }
        private = Some(made);
    }
    let mut files: serde_json::Map<String, Json> =
        paths.iter().map(|(name, file)| (name.clone(), Json::String(file.clone()))).collect();
    if let Some(made) = &private {
        files.insert("dir".into(), Json::String(made.path().display().to_string()));
    }
    let names = With { names, own: vec![("files", Value::plain(Json::Object(files)))] };
    let (argv, own_env) = match &written.script {
        Some(script) => (
            ["bash", "-euo", "pipefail", "-c", script].map(|text| Value::plain(Json::String(text.into()))).to_vec(),
            paths.iter().map(|(name, file)| (format!("FILES_{}", name.to_ascii_uppercase()), file.clone())).collect(),
        ),
        None => {
            let mut argv = Vec::new();
            for template in &written.argv {
                let value = template.render_text(&names)?;
                // Words of the playbook's own are no secret, be they spelt like one.
                let is_known = template.as_literal().is_some() || value.is_secret();
                let born = if is_known { Taint::default() } else { births.taint_in(&value.expose_text()) };
                argv.push(value.tainted(&born));
            }
            (argv, Vec::new())
        }
    };
    let cwd = match &written.cwd {
        None => folder.to_path_buf(),
        Some(template) => path(template, &names, births, folder)?,
    };
    let command = exec::Command {
        argv,
        secret_argv: written.allow_secret_argv.is_some(),
        env: named(&written.env, &names)?,
        stdin: match &written.stdin {
            None => None,
            Some(template) => Some(template.render_text(&names)?),
        },
        own_env,
        files: private.as_ref().map(|made| made.path().to_path_buf()),
        also_given,
        cwd,
        timeout: optional_duration(written.timeout.as_ref(), &names, births)?,
        max_output: written.max_output,
    };
    Ok(ReadyProgram { command, _folder: private })
}

/// Rendered texts under their names; where a value is null the name is left out.
fn named(fields: &[(String, Template)], names: &dyn Names) -> Result<Vec<(String, Value)>, RenderError> {
    let mut rendered = Vec::new();
    for (name, template) in fields {
        let value = template.render(names)?;
        if !value.is_null() {
            rendered.push((name.clone(), value));
        }
    }
    Ok(rendered)
}

/// Query parameters and form fields: a list gives one for each of its items.
fn one_each(fields: Vec<(String, Value)>) -> Vec<(String, Value)> {
    let mut all = Vec::new();
    for (name, value) in fields {
        match value.expose().as_array().map(Vec::len) {
            None => all.push((name, value)),
            Some(count) => {
                let items = (0..count).filter_map(|index| value.pointer(&format!("/{index}")));
                all.extend(items.filter(|item| !item.is_null()).map(|item| (name.clone(), item)));
            }
        }
    }
    all
}

pub fn duration_of(template: &Template, names: &dyn Names, births: &Births) -> Result<Duration, RenderError> {
    duration::parse(&public_text(template, names, births, "a duration")?).map_err(RenderError::Value)
}

fn optional_duration(
    template: Option<&Template>,
    names: &dyn Names,
    births: &Births,
) -> Result<Option<Duration>, RenderError> {
    template.map(|template| duration_of(template, names, births)).transpose()
}

fn optional_path(
    template: Option<&Template>,
    names: &dyn Names,
    births: &Births,
    folder: &Path,
) -> Result<Option<PathBuf>, RenderError> {
    template.map(|template| path(template, names, births, folder)).transpose()
}

fn path(template: &Template, names: &dyn Names, births: &Births, folder: &Path) -> Result<PathBuf, RenderError> {
    Ok(folder.join(public_text(template, names, births, "a path")?))
}

/// The text of what stands where everybody sees it.
///
/// # Errors
/// What cannot be rendered, and what has a secret in it.
pub fn public_text(template: &Template, names: &dyn Names, births: &Births, what: &str) -> Result<String, RenderError> {
    let value = template.render_text(names)?;
    if template.as_literal().is_none() && births.makes_secret(&value) {
        return Err(RenderError::Secret(what.into()));
    }
    Ok(value.expose_text())
}
