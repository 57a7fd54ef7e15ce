//! The image: an OCI layout that anybody can check, with all that a program needs and no more.

use crate::deploy::folder;
use aws_lc_rs::digest::{SHA256, digest};
use flate2::read::GzDecoder;
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Output};

/// Calls the script that builds images, with authorities of the test.
fn build(work: &Path, arguments: &[&str]) -> Output {
    let authorities = work.join("authorities.pem");
    std::fs::write(&authorities, "-----BEGIN CERTIFICATE-----\n").unwrap();
    let mut call = Command::new("bash");
    call.arg(folder().join("image/build")).args(arguments);
    call.arg("--authorities").arg(authorities).current_dir(work).output().unwrap()
}

/// A blob of a layout, whose bytes are what its name and its descriptor say.
fn blob(layout: &Path, descriptor: &Value) -> Vec<u8> {
    let name = descriptor["digest"].as_str().unwrap().strip_prefix("sha256:").unwrap();
    let bytes = std::fs::read(layout.join("blobs/sha256").join(name)).unwrap();
    assert_eq!(hex(&bytes), name);
    assert_eq!(Some(bytes.len() as u64), descriptor["size"].as_u64(), "{descriptor}");
    bytes
}

fn hex(bytes: &[u8]) -> String {
    let all = digest(&SHA256, bytes);
    all.as_ref().iter().fold(String::new(), |text, it| text + &format!("{it:02x}"))
}

fn json(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap()
}

/// The files of a tar archive: mode and owner, and what they hold.
fn files(mut tar: &[u8]) -> BTreeMap<String, (u32, u32, Vec<u8>)> {
    let mut files = BTreeMap::new();
    while tar.len() >= 512 && tar[0] != 0 {
        let (head, rest) = tar.split_at(512);
        let text = |at: usize, length: usize| {
            let field = &head[at..at + length];
            let end = field.iter().position(|it| *it == 0).unwrap_or(length);
            String::from_utf8(field[..end].to_vec()).unwrap().trim().to_owned()
        };
        let number = |at, length| u32::from_str_radix(&text(at, length), 8).unwrap();
        let size = number(124, 12) as usize;
        files.insert(text(0, 100), (number(100, 8), number(108, 8), rest[..size].to_vec()));
        tar = &rest[size.div_ceil(512) * 512..];
    }
    files
}

#[test]
fn an_image_is_a_layout_of_both_architectures_that_is_what_it_says() {
    let work = tempfile::tempdir().unwrap();
    // Any two programs do to see how they are packed.
    let own = std::env::current_exe().unwrap();
    for name in ["one", "two"] {
        std::fs::write(work.path().join(name), format!("#!/bin/sh\necho {name}\n")).unwrap();
        let made = Command::new("chmod").arg("755").arg(work.path().join(name)).status().unwrap();
        assert!(made.success() && own.exists());
    }
    let arguments =
        ["--arch", "amd64,arm64", "--program", "amd64=one", "--program", "arm64=two", "--output"];
    let made = build(work.path(), &[&arguments[..], &["image"]].concat());
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let layout = work.path().join("image");
    let read = |name: &str| std::fs::read(layout.join(name)).unwrap();
    assert_eq!(json(&read("oci-layout"))["imageLayoutVersion"], "1.0.0");
    let top = json(&read("index.json"));
    let version = &top["manifests"][0]["annotations"]["org.opencontainers.image.ref.name"];
    assert_eq!(*version, env!("CARGO_PKG_VERSION"));
    let index = json(&blob(&layout, &top["manifests"][0]));
    assert_eq!(index["mediaType"], "application/vnd.oci.image.index.v1+json");
    let manifests = index["manifests"].as_array().unwrap();
    assert_eq!(manifests.len(), 2);
    for (descriptor, (arch, program)) in manifests.iter().zip([("amd64", "one"), ("arm64", "two")])
    {
        assert_eq!(descriptor["platform"]["architecture"], arch);
        assert_eq!(descriptor["mediaType"], "application/vnd.oci.image.manifest.v1+json");
        let manifest = json(&blob(&layout, descriptor));
        let config = json(&blob(&layout, &manifest["config"]));
        assert_eq!((&config["architecture"], &config["os"]), (&arch.into(), &"linux".into()));
        assert_eq!(config["config"]["User"], "65532:65532");
        assert_eq!(config["config"]["Entrypoint"], serde_json::json!(["/hopclock"]));
        let layers = manifest["layers"].as_array().unwrap();
        assert_eq!(layers.len(), 1);
        assert_eq!(layers[0]["mediaType"], "application/vnd.oci.image.layer.v1.tar+gzip");
        let mut tar = Vec::new();
        GzDecoder::new(&*blob(&layout, &layers[0])).read_to_end(&mut tar).unwrap();
        assert_eq!(config["rootfs"]["diff_ids"][0], format!("sha256:{}", hex(&tar)));
        let files = files(&tar);
        let (mode, owner, bytes) = &files["./hopclock"];
        assert_eq!((*mode, *owner), (0o755, 0), "nobody in the image may change it");
        assert_eq!(*bytes, std::fs::read(work.path().join(program)).unwrap());
        assert!(files["./etc/ssl/certs/ca-certificates.crt"].2.starts_with(b"-----BEGIN"));
        assert_eq!(files["./var/cache/hopclock/"].1, 65532);
        assert!(!files.contains_key("./bin/"), "there is no shell");
        let sbom = json(&files["./usr/share/doc/hopclock/sbom.cdx.json"].2);
        lists_what_is_linked(&sbom);
        assert_eq!(sbom, json(&read(&format!("sbom-{arch}.cdx.json"))));
    }
    // The same files make the same bytes.
    let made = build(work.path(), &[&arguments[..], &["again"]].concat());
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    assert_eq!(read("index.json"), std::fs::read(work.path().join("again/index.json")).unwrap());
}

/// Says that a bill of materials holds what is in the lock file, with licences, and nothing of tests.
fn lists_what_is_linked(sbom: &Value) {
    assert_eq!((&sbom["bomFormat"], &sbom["specVersion"]), (&"CycloneDX".into(), &"1.5".into()));
    let lock = std::fs::read_to_string(folder().parent().unwrap().join("Cargo.lock")).unwrap();
    let components = sbom["components"].as_array().unwrap();
    assert!(components.len() > 200, "{}", components.len());
    for component in components {
        let (name, version) = (&component["name"], &component["version"]);
        let locked = format!("name = {name}\nversion = {version}\n");
        assert!(lock.contains(&locked), "{component}");
        assert!(component["licenses"][0]["expression"].is_string(), "{component}");
    }
    let has = |name: &str| components.iter().any(|it| it["name"] == name);
    assert!(has("kube") && has("aws-lc-rs") && has("libgit2-sys"));
    assert!(!has("hopclock-sandbox") && !has("insta"), "neither the sandbox nor tests");
}

#[test]
fn bad_arguments_end_with_a_sentence() {
    let work = tempfile::tempdir().unwrap();
    for (arguments, sentence) in [
        (
            &["--arch", "riscv64", "--output", "a"][..],
            "error: there is no image for `riscv64`: it is amd64 or arm64\n",
        ),
        (
            &["--arch", "amd64"],
            "error: give --output FOLDER for an OCI layout, or --root FOLDER for the files alone\n",
        ),
        (&["--program", "amd64=absent", "--output", "b"], "error: `absent` is no program\n"),
        (
            &["--limit", "30MiB", "--output", "c"],
            "error: `--limit 30MiB` is no whole number of MiB\n",
        ),
        (
            &["--size", "1"],
            "error: `--size` is not known: give --arch, --profile, --output, --root, --authorities, --limit or --program\n",
        ),
    ] {
        let made = build(work.path(), arguments);
        assert_eq!(made.status.code(), Some(2), "{arguments:?}");
        assert_eq!(String::from_utf8_lossy(&made.stderr), sentence);
    }
}

#[test]
fn an_image_that_has_grown_too_large_is_refused() {
    let work = tempfile::tempdir().unwrap();
    std::fs::write(work.path().join("large"), vec![0; 3 << 20]).unwrap();
    let made = Command::new("chmod").arg("755").arg(work.path().join("large")).status().unwrap();
    assert!(made.success());
    let arguments = ["--program", "amd64=large", "--output", "image", "--limit"];
    let refused = build(work.path(), &[&arguments[..], &["2"]].concat());
    assert_eq!(refused.status.code(), Some(2));
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    let sentence = "error: the image for amd64 takes 3 MiB, more than 2: ";
    assert!(said.contains(sentence), "{said}");
    assert!(!work.path().join("image/index.json").exists(), "there is no image to push");
    std::fs::remove_dir_all(work.path().join("image")).unwrap();
    assert!(build(work.path(), &[&arguments[..], &["4"]].concat()).status.success());
}
