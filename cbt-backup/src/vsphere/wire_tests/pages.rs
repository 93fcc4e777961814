//! Retrievals page by page, and what gets in their way.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::vsphere::test_server::{Reply, Seen, TestServer, usual};
use crate::vsphere::{Client, Error, Moref, PropertyFilterSpec, PropertySpec};

const FIRST: &str = "RetrievePropertiesEx";
const NEXT: &str = "ContinueRetrievePropertiesEx";
const CANCEL: &str = "CancelRetrievePropertiesEx";

/// A page of VMs `vm-<id>` with a token if there is more.
fn page(method: &str, ids: &[usize], token: Option<&str>) -> Reply {
    let token = token.map_or(String::new(), |t| format!("<token>{t}</token>"));
    let object = |id: &usize| {
        format!(
            "<objects><obj type=\"VirtualMachine\">vm-{id}</obj><propSet><name>name</name><val xsi:type=\"xsd:string\">app{id}</val></propSet></objects>"
        )
    };
    let objects = ids.iter().map(object).collect::<Vec<_>>().concat();
    Reply::answer(method, &format!("<returnval>{token}{objects}</returnval>"))
}

/// A server whose retrievals go by `script`; the numbers count its calls and the logins.
async fn server(script: impl Fn(usize, &Seen) -> Reply + Send + Sync + 'static) -> TestServer {
    let (calls, logins, views) = (
        AtomicUsize::new(0),
        AtomicUsize::new(0),
        AtomicUsize::new(0),
    );
    TestServer::start(move |seen| match seen.method() {
        FIRST | NEXT => script(calls.fetch_add(1, Ordering::SeqCst), seen),
        CANCEL | "DestroyView" => Reply::answer(seen.method(), ""),
        "CreateContainerView" => {
            let number = views.fetch_add(1, Ordering::SeqCst);
            Reply::answer(
                seen.method(),
                &format!("<returnval type=\"ContainerView\">view-{number}</returnval>"),
            )
        }
        method => {
            let is_login = usize::from(method == "Login");
            usual(seen, logins.fetch_add(is_login, Ordering::SeqCst))
        }
    })
    .await
}

fn spec() -> PropertyFilterSpec {
    PropertyFilterSpec::of_object(&Moref::new("Folder", "group-d1"), &["name"])
}

async fn names(pages: &mut crate::vsphere::ObjectPages) -> Result<Vec<Vec<String>>, Error> {
    let mut all = Vec::new();
    while let Some(page) = pages.next().await? {
        let name = |object: crate::vsphere::ObjectContent| {
            object.properties.get("name").unwrap().text().unwrap()
        };
        all.push(page.into_iter().map(name).collect());
    }
    Ok(all)
}

/// The methods called after the login.
fn methods(server: &TestServer) -> Vec<String> {
    let seen = server.seen();
    let methods = seen.iter().skip(3).map(|seen| seen.method().to_owned());
    methods.collect()
}

#[tokio::test]
async fn pages_come_one_by_one_and_an_object_only_once() {
    let server = server(|call, _| match call {
        0 => page(FIRST, &[1, 2], Some("a")),
        1 => page(NEXT, &[2, 3], Some("b")),
        2 => page(NEXT, &[], Some("c")),
        _ => page(NEXT, &[4], None),
    })
    .await;
    let client = Client::connect(server.options()).await.unwrap();
    let mut pages = client.retrieve_objects(spec(), Some(2));
    assert_eq!(server.count(FIRST), 0);
    let all = names(&mut pages).await.unwrap();
    assert_eq!(all, [vec!["app1", "app2"], vec!["app3"], vec!["app4"]]);
    assert!(pages.next().await.unwrap().is_none());
    drop(pages);
    assert_eq!(methods(&server), [FIRST, NEXT, NEXT, NEXT]);
    assert!(server.seen()[3].body.contains("<maxObjects>2</maxObjects>"));
}

#[tokio::test]
async fn a_lost_session_starts_the_pages_over_without_repeating_objects() {
    for is_hidden in [false, true] {
        let server = server(move |call, _| match call {
            0 => page(FIRST, &[1, 2], Some("a")),
            1 if is_hidden => Reply::answer(NEXT, "<returnval><objects><obj type=\"VirtualMachine\">vm-3</obj><missingSet><path>name</path><fault><fault xsi:type=\"NotAuthenticated\"/></fault></missingSet></objects></returnval>"),
            1 => Reply::fault("NotAuthenticated"),
            2 => page(FIRST, &[1, 2], Some("x")),
            _ => page(NEXT, &[3], None),
        })
        .await;
        let client = Client::connect(server.options()).await.unwrap();
        let root = Moref::new("Folder", "group-d1");
        let wanted = vec![PropertySpec::new("VirtualMachine", &["name"])];
        let mut pages = client.retrieve_below(&root, &["VirtualMachine"], wanted, None);
        let all = names(&mut pages).await.unwrap();
        assert_eq!(all, [vec!["app1", "app2"], vec!["app3"]]);
        // The first view died with its session.
        let made = "CreateContainerView";
        assert_eq!(
            methods(&server),
            [made, FIRST, NEXT, "Login", made, FIRST, NEXT, "DestroyView"]
        );
        assert!(server.seen().last().unwrap().body.contains(">view-1<"));
    }
}

#[tokio::test]
async fn a_view_that_is_gone_is_made_again_once() {
    let gone = |view: &str| {
        Reply::fault_with(
            "ManagedObjectNotFound",
            &format!("<obj type=\"ContainerView\">{view}</obj>"),
        )
    };
    let root = Moref::new("Folder", "group-d1");
    let wanted = || vec![PropertySpec::new("VirtualMachine", &["name"])];
    let mended = server(move |call, _| match call {
        0 => gone("view-0"),
        _ => page(FIRST, &[1], None),
    })
    .await;
    let client = Client::connect(mended.options()).await.unwrap();
    let mut pages = client.retrieve_below(&root, &["VirtualMachine"], wanted(), None);
    assert_eq!(names(&mut pages).await.unwrap(), [["app1"]]);

    for view in ["view-1", "view-7"] {
        let broken = server(move |call, _| gone(if call == 0 { "view-0" } else { view })).await;
        let client = Client::connect(broken.options()).await.unwrap();
        let mut pages = client.retrieve_below(&root, &["VirtualMachine"], wanted(), None);
        let error = names(&mut pages).await.unwrap_err();
        assert_eq!(error.fault_type(), Some("ManagedObjectNotFound"));
        assert_eq!(broken.count(FIRST), 2);
    }
}

#[tokio::test]
async fn a_failure_of_the_transport_starts_the_pages_over_a_bounded_number_of_times() {
    let mended = server(|call, _| match call {
        0 | 2 => page(FIRST, &[1], Some("a")),
        1 => Reply::typed(502, "text/html", "<html>Bad Gateway</html>"),
        _ => page(NEXT, &[2], None),
    })
    .await;
    let client = Client::connect(mended.options()).await.unwrap();
    let all = names(&mut client.retrieve_objects(spec(), None)).await;
    assert_eq!(all.unwrap(), [["app1"], ["app2"]]);

    let broken = server(|_, seen| match seen.method() {
        FIRST => page(FIRST, &[1], Some("a")),
        _ => Reply::typed(503, "text/plain", "no"),
    })
    .await;
    let client = Client::connect(broken.options()).await.unwrap();
    let mut pages = client.retrieve_objects(spec(), None);
    let error = names(&mut pages).await.unwrap_err();
    assert!(matches!(error, Error::HttpStatus { status: 503, .. }));
    assert_eq!(broken.count(NEXT), 3);
    assert!(pages.next().await.unwrap().is_none());
}

#[tokio::test]
async fn a_loop_of_tokens_is_noticed() {
    for ids in [&[1][..], &[]] {
        let server = server(move |_, seen| page(seen.method(), ids, Some("again"))).await;
        let client = Client::connect(server.options()).await.unwrap();
        let error = names(&mut client.retrieve_objects(spec(), None))
            .await
            .unwrap_err();
        assert!(matches!(error, Error::BadAnswer { .. }), "{error:?}");
        assert!(error.to_string().contains("nothing new"), "{error}");
        assert!(server.count(NEXT) < 20);
        // What was not used up is handed back.
        assert_eq!(server.count(CANCEL), 1);
    }
}

#[tokio::test]
async fn leaving_early_hands_the_token_back_and_destroys_the_view() {
    for is_dropped in [false, true] {
        let server = server(|_, seen| page(seen.method(), &[1], Some("tok"))).await;
        let client = Client::connect(server.options()).await.unwrap();
        let root = Moref::new("Folder", "group-d1");
        let mut pages = client.retrieve_below(&root, &[], Vec::new(), None);
        pages.next().await.unwrap().unwrap();
        if is_dropped {
            drop(pages);
            tokio::time::timeout(Duration::from_secs(20), async {
                while server.count("DestroyView") == 0 {
                    tokio::task::yield_now().await;
                }
            })
            .await
            .unwrap();
        } else {
            pages.close().await;
        }
        let cancelled = server.seen().into_iter().find(|s| s.method() == CANCEL);
        let sample = include_str!("../testdata/requests/20-cancel-retrieve-properties-ex.xml");
        let sample = sample.replace(">0<", ">tok<");
        assert!(sample.contains(cancelled.unwrap().operation()));
        assert_eq!(server.count("DestroyView"), 1);
    }
}

#[tokio::test]
async fn a_page_whose_reading_was_given_up_is_asked_for_from_the_start() {
    let server = server(|call, seen| match call {
        0 | 2 => page(FIRST, &[1], Some("a")),
        1 => Reply::Silent,
        _ => page(seen.method(), &[2], None),
    })
    .await;
    let client = Client::connect(server.options()).await.unwrap();
    let mut pages = client.retrieve_objects(spec(), None);
    pages.next().await.unwrap().unwrap();
    let given_up = tokio::select! {
        page = pages.next() => Some(page),
        () = async {
            while server.count(NEXT) == 0 {
                tokio::task::yield_now().await;
            }
        } => None,
    };
    assert!(given_up.is_none());
    let all = names(&mut pages).await.unwrap();
    assert_eq!(all, [["app2"]]);
}

#[tokio::test]
async fn the_questions_are_those_of_the_samples() {
    let server = server(|_, seen| page(seen.method(), &[], None)).await;
    let client = Client::connect(server.options()).await.unwrap();
    let place = ["parent", "name"];
    let wanted = vec![
        PropertySpec::new("Folder", &place),
        PropertySpec::new("Datacenter", &place),
        PropertySpec::new("ResourcePool", &["parent", "name", "vm"]),
        PropertySpec::new("ComputeResource", &place),
        PropertySpec::new(
            "VirtualMachine",
            &[
                "parent",
                "name",
                "summary.config",
                "snapshot",
                "config.hardware.device",
            ],
        ),
    ];
    let tree = PropertyFilterSpec::of_tree(&Moref::new("Folder", "group-d1"), wanted);
    let mut pages = client.retrieve_objects(tree, None);
    assert!(pages.next().await.unwrap().is_none());
    let sample =
        include_str!("../testdata/requests/18-retrieve-properties-ex-inventory-traversal.xml");
    let seen = server.seen();
    assert!(sample.contains(seen.last().unwrap().operation()));
}

#[tokio::test]
async fn the_old_method_gives_all_at_once() {
    let answer = include_str!("../testdata/answers/c49-retrieve-properties-old.xml");
    let calls = AtomicUsize::new(0);
    let server = TestServer::start(move |seen| match seen.method() {
        "RetrieveProperties" if calls.fetch_add(1, Ordering::SeqCst) == 0 => Reply::answer(
            "RetrieveProperties",
            "<returnval><obj type=\"VirtualMachine\">vm-1021</obj><missingSet><path>name</path><fault><fault xsi:type=\"NotAuthenticated\"/></fault></missingSet></returnval>",
        ),
        "RetrieveProperties" => Reply::xml(200, answer),
        _ => usual(seen, 0),
    })
    .await;
    let client = Client::connect(server.options()).await.unwrap();
    let spec = PropertyFilterSpec::of_object(&Moref::vm("vm-1021"), &["name", "config.uuid"]);
    let objects = client.retrieve_objects_at_once(&spec).await.unwrap();
    let names: Vec<String> = objects
        .iter()
        .map(|object| object.properties.get("name").unwrap().text().unwrap())
        .collect();
    assert_eq!(names, ["app01", "app02"]);
    assert_eq!(objects[1].object, Moref::vm("vm-1022"));
    let sample = include_str!("../testdata/requests/15-retrieve-properties-old.xml");
    assert!(sample.contains(server.seen().last().unwrap().operation()));
    assert_eq!(server.count("Login"), 2);
}
