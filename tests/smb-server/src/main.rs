//! The scripted server as a program: serves until its input ends, answers questions on it. It must never listen beyond the loopback.

use std::{fs, io, path::PathBuf, process::ExitCode};

use clap::Parser;
use keepwell_smb_server::{Script, ScriptError, Server};

/// Serves the tree of a script over SMB on 127.0.0.1 until standard input ends. A line `counts` or `tree` on standard input is answered in JSON.
#[derive(Debug, Parser)]
struct Arguments {
    /// The script (JSON).
    #[arg(long)]
    script: PathBuf,
    /// Where the port is written to, once it serves.
    #[arg(long)]
    port_file: Option<PathBuf>,
}

#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error("{0}")]
    Io(PathBuf, #[source] io::Error),
    #[error("{0}")]
    Script(PathBuf, #[source] ScriptError),
    #[error("it cannot be served")]
    Serving(#[source] io::Error),
}

fn main() -> ExitCode {
    match serve(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(trouble) => {
            let mut error: Option<&dyn std::error::Error> = Some(&trouble);
            while let Some(now) = error {
                eprintln!("keepwell-smb-server: {now}");
                error = now.source();
            }
            ExitCode::FAILURE
        }
    }
}

fn serve(arguments: &Arguments) -> Result<(), Trouble> {
    let path = &arguments.script;
    let json = fs::read_to_string(path).map_err(|error| Trouble::Io(path.clone(), error))?;
    let script = Script::parse(&json).map_err(|error| Trouble::Script(path.clone(), error))?;
    let tree = script.tree().map_err(|error| Trouble::Script(path.clone(), error))?;
    let server = Server::start_with(script.options, tree, script.faults).map_err(Trouble::Serving)?;
    println!("{}", server.port());
    if let Some(path) = &arguments.port_file {
        // Whoever waits for the file must never see it half written.
        let begun = path.with_extension("part");
        fs::write(&begun, server.port().to_string())
            .and_then(|()| fs::rename(&begun, path))
            .map_err(|error| Trouble::Io(path.clone(), error))?;
    }
    for line in io::stdin().lines() {
        match line.map_err(Trouble::Serving)?.trim() {
            "counts" => println!("{}", serde_json::to_string(&server.counts()).unwrap_or_default()),
            "tree" => println!("{}", listing(&server)),
            other => eprintln!("keepwell-smb-server: {other:?} is not a question; counts and tree are"),
        }
    }
    Ok(())
}

/// One object for each name of the live tree.
fn listing(server: &Server) -> serde_json::Value {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let tree = server.tree();
    let nodes = tree.paths().into_iter().filter_map(|(path, id)| Some((path, id, tree.node(id)?)));
    let items = nodes.map(|(path, id, node)| {
        serde_json::json!({
            "path": path.0, "text": path.lossy(), "id": id.0, "folder": node.is_folder(), "size": node.content.size(),
            "sha256": (node.content.size() < 1 << 28).then(|| hex(&keepwell_smb_server::sha256(&node.content.bytes()))),
            "attributes": node.attributes, "created": node.created, "written": node.written, "changed": node.changed, "links": node.links,
            "descriptor": hex(&node.descriptor), "reparse": node.reparse.as_deref().map(hex),
            "extended": node.extended.iter().map(|(name, value)| (String::from_utf8_lossy(name), hex(value))).collect::<Vec<_>>(),
            "streams": node.streams.iter().map(|(name, content)| (String::from_utf16_lossy(name), content.size(), hex(&keepwell_smb_server::sha256(&content.bytes())))).collect::<Vec<_>>(),
        })
    });
    items.collect()
}
