//! Examples at the end of each command's help. Most people read them first, and often nothing else.

macro_rules! examples {
    ($($name:ident = $text:literal;)*) => {
        $(pub(super) const $name: &str = $text;)*
    };
}

examples! {
    ALL = "\
Example, without an account:
  personio-scim demo

To check the settings, and see what to change:
  personio-scim check";
    SERVE = "\
Example:
  export PERSONIO_CLIENT_ID=… PERSONIO_CLIENT_SECRET_FILE=/run/secrets/personio
  export SCIM_BEARER_TOKEN_FILE=/run/secrets/scim
  personio-scim serve --public-url https://scim.example.com

To check the settings: personio-scim check";
    DEMO = "\
Example, with a larger company:
  personio-scim demo --persons 100000";
    CHECK = "\
Example:
  export PERSONIO_CLIENT_ID=… PERSONIO_CLIENT_SECRET_FILE=/run/secrets/personio
  personio-scim check

Example, for a script:
  personio-scim check --json --sample 0";
    EXPORT = "\
Examples:
  personio-scim export --format csv --output people.csv
  personio-scim export --filter 'active eq true' --attributes userName,title | head

Example, against the simulator (personio-scim simulator, in another terminal):
  personio-scim export --personio-base-url http://127.0.0.1:8081 \\
    --personio-client-id demo --personio-client-secret demo-secret";
    TOKEN = "\
Example:
  personio-scim token new";
    TOKEN_NEW = "\
Example, for a script:
  personio-scim token new --json";
    TOKEN_HASH = "\
Example:
  personio-scim token hash < /run/secrets/scim";
    SIMULATOR = "\
Example, to try other commands against it:
  personio-scim simulator --listen 127.0.0.1:8081 &
  export PERSONIO_CLIENT_ID=demo PERSONIO_CLIENT_SECRET=demo-secret
  personio-scim check --personio-base-url http://127.0.0.1:8081";
    HEALTHCHECK = "\
Example, in a script that waits for data:
  until personio-scim healthcheck --ready; do sleep 5; done";
    APPROVE = "\
Examples:
  personio-scim approve --show
  personio-scim approve --listen 127.0.0.1:8080 --yes";
    COMPLETIONS = "\
Example, for Bash:
  personio-scim completions bash > /etc/bash_completion.d/personio-scim";
    MAN = "\
Example:
  personio-scim man | man -l -";
}
