//! The settings of `hewctl node`: a flag or its variable wins over the file, the file over the default.

use crate::actors::ActorSetting;
use crate::cli::NodeOptions;
use crate::failure::Failure;
use crate::identity::Access;
use hew_node::{NodeId, SwimConfig};
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// Where a node listens unless it is told: nobody outside of the machine can reach it there.
const LISTEN_DEFAULT: &str = "127.0.0.1:0";
/// More edits than this apart, two words are not the same one with a mistake in it.
const EDITS_MAX: usize = 2;

/// How fast failures are noticed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Preset {
    /// For machines in one data centre: a silent crash is known to all after about five seconds.
    #[default]
    Lan,
    /// For a quiet network: after about one second.
    Fast,
}

impl Preset {
    /// The settings of membership that it stands for.
    pub(crate) fn swim(self) -> SwimConfig {
        match self {
            Preset::Lan => SwimConfig::lan(),
            Preset::Fast => SwimConfig::fast(),
        }
    }
}

/// What a configuration file may hold.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    id: Option<u16>,
    name: Option<String>,
    cluster: Option<String>,
    listen: Option<String>,
    advertise: Option<String>,
    #[serde(default)]
    join: Vec<String>,
    key: Option<PathBuf>,
    state: Option<PathBuf>,
    allow: Option<PathBuf>,
    #[serde(default)]
    open: bool,
    preset: Option<Preset>,
    workers: Option<usize>,
    outgoing_mib: Option<usize>,
    #[serde(default)]
    actors: Vec<ActorSetting>,
}

/// The settings that a node runs with.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    pub(crate) id: NodeId,
    pub(crate) name: Option<String>,
    pub(crate) cluster: Option<String>,
    pub(crate) listen: String,
    pub(crate) advertise: Option<String>,
    pub(crate) join: Vec<String>,
    pub(crate) key: Option<PathBuf>,
    pub(crate) state: Option<PathBuf>,
    pub(crate) access: Access,
    pub(crate) preset: Preset,
    pub(crate) workers: Option<usize>,
    pub(crate) outgoing_bytes_max: Option<usize>,
    pub(crate) actors: Vec<ActorSetting>,
}

impl Settings {
    /// Puts the flags over the file that they name, if any.
    pub(crate) fn resolve(options: NodeOptions) -> Result<Settings, Failure> {
        let file = match &options.config {
            Some(path) => read(path)?,
            None => File::default(),
        };
        merge(options, file)
    }
}

fn merge(options: NodeOptions, file: File) -> Result<Settings, Failure> {
    let of_file = file.id.map(NodeId::new).transpose();
    let of_file = of_file.map_err(|error| Failure::usage(error).of("id"))?;
    let id = options
        .id
        .or(of_file)
        .ok_or_else(|| Failure::usage("a node needs an id: --id N, or `id` in its file"))?;
    let access = match Access::from_flags(options.allow, options.open)? {
        Some(access) => Some(access),
        None => Access::from_settings(file.allow, file.open)?,
    };
    let access = access.ok_or_else(|| {
        Failure::usage("who may connect? --allow FILE for the keys in a file, --open for everybody who can reach this node")
    })?;
    let outgoing_mib = options.outgoing_mib.or(file.outgoing_mib);
    let outgoing_bytes_max = outgoing_mib.map(|mib| {
        mib.checked_mul(1 << 20)
            .ok_or_else(|| Failure::usage(format_args!("outgoing_mib: {mib} is too large")))
    });
    let key = options.key.or(file.key);
    let state = options.state.or(file.state).or_else(|| key.as_deref().map(beside));
    let either = |flags: Vec<_>, file| if flags.is_empty() { file } else { flags };
    Ok(Settings {
        id,
        name: options.name.or(file.name),
        cluster: options.cluster.or(file.cluster),
        listen: options.listen.or(file.listen).unwrap_or_else(|| LISTEN_DEFAULT.into()),
        advertise: options.advertise.or(file.advertise),
        join: either(options.join, file.join),
        key,
        state,
        access,
        preset: options.preset.or(file.preset).unwrap_or_default(),
        workers: options.workers.or(file.workers),
        outgoing_bytes_max: outgoing_bytes_max.transpose()?,
        actors: if options.actors.is_empty() { file.actors } else { options.actors },
    })
}

/// The state file of a node with this key file.
fn beside(key: &Path) -> PathBuf {
    let mut path = key.as_os_str().to_owned();
    path.push(".incarnation");
    path.into()
}

/// Reads a file. Paths in it are relative to its directory.
fn read(path: &Path) -> Result<File, Failure> {
    let whose = || path.display();
    let text = std::fs::read_to_string(path).map_err(|error| Failure::failed(error).of(whose()))?;
    let mut file = parse(&text).map_err(|failure| failure.of(whose()))?;
    let directory = path.parent().unwrap_or(Path::new(""));
    for named in [&mut file.key, &mut file.state, &mut file.allow].into_iter().flatten() {
        *named = directory.join(&*named);
    }
    Ok(file)
}

fn parse(text: &str) -> Result<File, Failure> {
    toml::from_str(text).map_err(|error: toml::de::Error| {
        let line =
            error.span().map_or(0, |span| text[..span.start.min(text.len())].matches('\n').count()) + 1;
        let mut message = format!("line {line}: {}", error.message());
        if let Some(meant) = suggestion(error.message()) {
            message.push_str(&format!("; did you mean `{meant}`?"));
        }
        Failure::usage(message)
    })
}

/// The known key that an unknown one is a mistake of, from serde's message: "unknown field `a`, expected one of `b`, …".
fn suggestion(message: &str) -> Option<&str> {
    let mut quoted = message.strip_prefix("unknown field ")?.split('`').skip(1).step_by(2);
    let unknown = quoted.next()?;
    let (edits, nearest) = quoted.map(|known| (edits(unknown, known), known)).min()?;
    (edits <= EDITS_MAX).then_some(nearest)
}

/// Letters to insert, remove or exchange to make one word of the other (Levenshtein).
fn edits(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (index, letter) in one.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], index + 1);
        for column in 0..other.len() {
            let exchanged = diagonal + usize::from(other[column] != letter);
            diagonal = row[column + 1];
            row[column + 1] = exchanged.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actors::ActorKind;

    const FILE: &str = r#"
        id = 2
        name = "till"
        listen = "127.0.0.1:9002"
        join = ["127.0.0.1:9001"]
        allow = "allowed"
        preset = "fast"
        outgoing_mib = 16
        actors = ["counter:visits"]
    "#;

    #[test]
    fn flags_win_over_the_file_and_the_file_over_defaults() {
        let options = NodeOptions {
            id: Some(NodeId::from_raw(3)),
            join: vec!["b:1".into()],
            open: true,
            ..NodeOptions::default()
        };
        let settings = merge(options, parse(FILE).unwrap()).unwrap();
        let visits = ActorSetting { kind: ActorKind::Counter, name: "visits".into() };
        let expected = Settings {
            id: NodeId::from_raw(3),
            name: Some("till".into()),
            cluster: None,
            listen: "127.0.0.1:9002".into(),
            advertise: None,
            join: vec!["b:1".into()],
            key: None,
            state: None,
            access: Access::Open,
            preset: Preset::Fast,
            workers: None,
            outgoing_bytes_max: Some(16 << 20),
            actors: vec![visits],
        };
        assert_eq!(settings, expected);
        let minimal = NodeOptions { id: Some(NodeId::from_raw(3)), open: true, ..NodeOptions::default() };
        let settings = merge(minimal, File::default()).unwrap();
        assert_eq!((settings.listen.as_str(), settings.preset), (LISTEN_DEFAULT, Preset::Lan));
    }

    #[test]
    fn the_state_file_is_beside_the_key_unless_it_is_named() {
        let state = |options: NodeOptions, text| {
            merge(NodeOptions { open: true, ..options }, parse(text).unwrap()).unwrap().state
        };
        let flags = |key: Option<&str>, state: Option<&str>| NodeOptions {
            key: key.map(PathBuf::from),
            state: state.map(PathBuf::from),
            ..NodeOptions::default()
        };
        assert_eq!(state(flags(None, None), "id = 1"), None);
        assert_eq!(state(flags(None, None), "id = 1\nkey = 'k'"), Some("k.incarnation".into()));
        assert_eq!(state(flags(Some("a/k"), None), "id = 1\nkey = 'b/k'"), Some("a/k.incarnation".into()));
        assert_eq!(state(flags(Some("k"), None), "id = 1\nstate = 's'"), Some("s".into()));
        assert_eq!(state(flags(Some("k"), Some("t")), "id = 1\nstate = 's'"), Some("t".into()));
    }

    #[test]
    fn id_and_access_have_no_default() {
        let error = |text| merge(NodeOptions::default(), parse(text).unwrap()).unwrap_err().text;
        assert!(error("open = true").contains("id"));
        assert!(error("id = 1").contains("who may connect"));
        assert!(error("id = 0\nopen = true").contains("not a node id"));
        assert!(error("id = 1\nopen = true\nallow = 'a'").contains("exclude each other"));
    }

    #[test]
    fn an_unknown_key_is_named_with_its_line_and_what_was_meant() {
        let error = |text| parse(text).unwrap_err().text;
        let text = error("id = 1\nlisen = \"a:1\"");
        assert!(text.starts_with("line 2: unknown field `lisen`"), "{text}");
        assert!(text.ends_with("did you mean `listen`?"), "{text}");
        assert!(!error("colour = 1").contains("did you mean"));
        assert!(error("id = \"x\"").contains("line 1"));
        assert!(error("actors = [\"clock:a\"]").contains("no kind of actor"));
        assert!(error("id = ").contains("line 1"));
    }

    #[test]
    fn paths_are_relative_to_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("node.toml");
        std::fs::write(&path, "key = \"keys/own\"\nstate = \"own\"\nallow = \"/etc/hew/allow\"").unwrap();
        let file = read(&path).unwrap();
        assert_eq!(file.key, Some(directory.path().join("keys/own")));
        assert_eq!(file.state, Some(directory.path().join("own")));
        assert_eq!(file.allow, Some("/etc/hew/allow".into()));
    }

    #[test]
    fn edits_are_counted() {
        assert_eq!(edits("", "abc"), 3);
        assert_eq!(edits("lisen", "listen"), 1);
        assert_eq!(edits("kitten", "sitting"), 3);
        assert_eq!(edits("same", "same"), 0);
    }
}
