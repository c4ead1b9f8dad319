//! `[[client]]`: a PSP

use gopay_service::Client;

use super::section::Section;

pub(super) fn read_client(client: &mut Section<'_>) -> Option<Client> {
    let login = client.required("login");
    let password_hash = client.secret("password_hash");
    if let Some(hash) = &password_hash
        && !gopay_service::is_password_hash(hash)
    {
        client.problem("password_hash", "not a hash", "what `gopay-adapter hash-password` prints");
    }
    let shared_secret = client.secret("shared_secret");
    let notification_secrets = client.secrets("notification_secrets");
    let mut require_ok_body = false;
    client.flag("require_ok_body", &mut require_ok_body);
    Some(Client {
        login: login?,
        password_hash: password_hash?,
        shared_secret: shared_secret?,
        notification_secrets: notification_secrets?,
        require_ok_body,
    })
}
