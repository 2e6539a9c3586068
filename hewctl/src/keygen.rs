//! `hewctl keygen`: a new identity in a file.

use crate::cli::KeygenOptions;
use crate::failure::Failure;
use crate::{identity, output};
use hew_security::Overwrite;
use serde_json::json;

/// Makes a key, writes it, and prints its public half.
pub(crate) fn run(options: &KeygenOptions) -> Result<(), Failure> {
    let keypair = identity::ephemeral_key()?;
    let overwrite = if options.force { Overwrite::Replace } else { Overwrite::Refuse };
    keypair.save(&options.path, overwrite)?;
    let public_key = keypair.public().to_hex();
    if options.json {
        output::json(&json!({ "public_key": public_key }));
    } else {
        output::line(public_key);
    }
    Ok(())
}
