//! `atelier generate --picture`: pictures of one's own, on the canvas of the built-in provider.

use std::fs;
use std::path::Path;
use std::process::Command;

use codec::Format;

use crate::support::client::scripted_feature;
use crate::support::database::{TestDatabase, on_both_databases};
use crate::support::process::{atelier, refused, run};
use crate::support::server::TestServer;
use crate::support::uploads::plain_picture;

const RED: [u8; 3] = [220, 20, 20];

on_both_databases! {
    async fn a_picture_of_one_s_own_is_on_the_poster_at_a_server_and_here(db: TestDatabase) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("phở.jpg");
        fs::write(&file, plain_picture(RED, Format::Jpg)).unwrap();
        let server = TestServer::start(&db).await;
        let mut feature = scripted_feature("poster");
        feature.properties.as_mut().unwrap().provider = "builtin".to_owned();
        server.add_feature(feature).await;
        let at_server = ["--server".to_owned(), server.url()];
        let mut server = Some(server);
        let mut posters = Vec::new();
        for (place, more) in [("there", &at_server[..]), ("here", &[])] {
            let out = folder.path().join(place);
            let output = run(generate(&db, db.media.path(), &file, &out, more)).await;
            // The command's own server is to work, and no other.
            if let Some(server) = server.take() {
                server.stop().await;
            }
            assert!(output.status.success(), "{output:?}");
            let made = fs::read_dir(&out).unwrap().next().unwrap().unwrap().path();
            posters.push(image::open(made).unwrap().into_rgb8());
        }
        assert_eq!(posters[0], posters[1], "the same seed and picture, the same poster");
        let red = posters[0].pixels().filter(|it| it.0[0] > it.0[1].saturating_add(60)).count();
        assert!(red * 20 > posters[0].pixels().len(), "it is seen: {red}");
        let uploads = db.texts("SELECT file_name FROM generation_uploads").await;
        assert_eq!(uploads, ["phở.jpg"], "the same file is one upload");
    }

    async fn a_file_that_is_no_picture_is_refused_in_words(db: TestDatabase) {
        let folder = tempfile::tempdir().unwrap();
        let server = TestServer::start(&db).await;
        server.scripted_feature().await;
        let page = folder.path().join("page.png");
        fs::write(&page, "<html>").unwrap();
        let at_server = ["--server".to_owned(), server.url()];
        let output = run(generate(&db, folder.path(), &page, folder.path(), &at_server)).await;
        let said = format!("error: cannot upload {}: the file cannot be taken: it is of no format that is read here", page.display());
        refused(&output, &[&said]);
        let missing = folder.path().join("missing.png");
        let output = run(generate(&db, folder.path(), &missing, folder.path(), &at_server)).await;
        refused(&output, &[&format!("error: cannot read {}: ", missing.display())]);
    }
}

fn generate(
    db: &TestDatabase,
    folder: &Path,
    picture: &Path,
    out: &Path,
    more: &[String],
) -> Command {
    let storage = format!("storage.folder={}", folder.display());
    let mut command = atelier(db, &["generate", "Phở gia truyền", "--seed", "7"]);
    command.args(["--aspect-ratio", "4:5", "--set", &storage]);
    command.args(["--set", "identity.provision_users=true"]);
    command.args(["--set", "catalogue.install_starter=false"]);
    command.arg("--picture").arg(picture);
    command.arg("--out").arg(out);
    command.args(more);
    command
}
