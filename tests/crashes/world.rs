//! All parties: simulator and receivers in this process, the program under test beside it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use gopay_simulator::{MovableClock as _, SimulatorConfig, SimulatorState};
use gopay_testkit::wait::look_again;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::gate::Gate;
use crate::program::{Engine, Program, Settings};
use crate::receivers::Receivers;
use crate::support::{Answer, body, decode};
use crate::time::Time;

/// Ends only a test that has failed.
const PATIENCE: Duration = Duration::from_secs(120);

pub(crate) struct World {
    pub(crate) time: Time,
    pub(crate) simulator: SimulatorState,
    pub(crate) receivers: Receivers,
    pub(crate) program: Program,
    /// More instances on the same store.
    others: Vec<Program>,
    pub(crate) settings: Settings,
    /// Between the program and the simulator.
    pub(crate) gate: Gate,
    pub(crate) folder: TempDir,
    /// Where calls go: the ports of instances, in turn.
    ports: watch::Sender<Vec<u16>>,
    http: reqwest::Client,
    counts: Mutex<BTreeMap<&'static str, u64>>,
    lost: Mutex<Vec<String>>,
    serving: Vec<JoinHandle<()>>,
}

impl Drop for World {
    fn drop(&mut self) {
        self.serving.iter().for_each(JoinHandle::abort);
    }
}

impl World {
    /// Everything but the program, which is only configured.
    pub(crate) async fn new(limits: &str) -> Arc<Self> {
        let folder = tempfile::tempdir().expect("a folder");
        let engine = Engine::Sqlite(folder.path().join("store/gopay.db"));
        Self::with(folder, engine, limits, 1).await
    }

    /// So many instances on one store; the first of them is `program`.
    pub(crate) async fn with(
        folder: TempDir,
        engine: Engine,
        limits: &str,
        instances: u16,
    ) -> Arc<Self> {
        gopay_outbound::install_crypto();
        let time = Time::new(folder.path());
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let simulator_url = format!("http://{address}");
        let gate = Gate::before(address).await;
        let config = SimulatorConfig { base_url: simulator_url, ..Default::default() };
        let simulator = SimulatorState::new(config, time.simulator.clone());
        let router = gopay_simulator::router(simulator.clone());
        let state = simulator.clone();
        let serving = vec![
            tokio::spawn(async move { axum::serve(listener, router).await.expect("it serves") }),
            tokio::spawn(async move {
                let never = std::future::pending::<()>();
                gopay_simulator::run_notifications(state, never).await.expect("it notifies");
            }),
        ];
        let receivers = Receivers::default();
        let receiver = receivers.start().await;
        let settings = Settings {
            engine,
            simulator: format!("http://{}", gate.address),
            receiver,
            number: 0,
            limits: limits.to_owned(),
        };
        let program = Program::new(folder.path(), &settings);
        let others = (1..instances)
            .map(|number| Program::new(folder.path(), &Settings { number, ..settings.clone() }));
        let others: Vec<Program> = others.collect();
        let ports = std::iter::once(&program).chain(&others).map(|one| one.port).collect();
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(Duration::from_secs(40))
            .build()
            .expect("a client");
        Arc::new(Self {
            time,
            simulator,
            receivers,
            ports: watch::Sender::new(ports),
            program,
            others,
            settings,
            gate,
            folder,
            http,
            counts: Mutex::default(),
            lost: Mutex::default(),
            serving,
        })
    }

    pub(crate) fn programs(&self) -> impl Iterator<Item = &Program> {
        std::iter::once(&self.program).chain(&self.others)
    }

    pub(crate) fn count(&self, what: &'static str) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry(what).or_default() += 1;
    }

    pub(crate) fn counts(&self) -> BTreeMap<&'static str, u64> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn now(&self) -> gopay_core::time::Timestamp {
        self.time.simulator.now()
    }

    /// How many calls were answered.
    pub(crate) fn answered(&self) -> u64 {
        self.counts().get("calls answered").copied().unwrap_or(0)
    }

    /// Sends calls to these instances from now on; to none means that they wait.
    pub(crate) fn call_ports(&self, ports: Vec<u16>) {
        self.ports.send_replace(ports);
    }

    /// Acts as a load balancer does, for ever: calls go to those instances that say they are ready.
    pub(crate) async fn balance(&self) {
        loop {
            let mut ready = Vec::new();
            for program in self.programs() {
                if self.is_ready(program).await {
                    ready.push(program.port);
                }
            }
            self.call_ports(ready);
            look_again().await;
        }
    }

    pub(crate) async fn is_ready(&self, program: &Program) -> bool {
        self.get(&format!("{}/health/ready", program.admin())).await.0 == 200
    }

    /// The next instance in turn.
    async fn port(&self) -> u16 {
        let mut ports = self.ports.subscribe();
        let ready = tokio::time::timeout(PATIENCE, ports.wait_for(|ports| !ports.is_empty())).await;
        assert!(ready.is_ok(), "no instance is ready");
        drop(ready);
        let mut port = 0;
        self.ports.send_if_modified(|ports| {
            // Empty if all have gone meanwhile: nobody answers at port 0.
            port = ports.first().copied().unwrap_or(0);
            if !ports.is_empty() {
                ports.rotate_left(1);
            }
            false
        });
        port
    }

    /// One try of a call; none if there was no answer.
    pub(crate) async fn send(&self, body: &str) -> Option<String> {
        let url = format!("http://127.0.0.1:{}/", self.port().await);
        let sent = self.http.post(url).body(body.to_owned()).send().await;
        let answer = match sent {
            Ok(answer) => answer,
            Err(error) if error.is_connect() => {
                self.count("calls refused at the door");
                look_again().await;
                return None;
            }
            Err(error) => return self.lose(&error),
        };
        match answer.text().await {
            Ok(text) => {
                self.count("calls answered");
                Some(text)
            }
            Err(error) => self.lose(&error),
        }
    }

    fn lose(&self, error: &reqwest::Error) -> Option<String> {
        self.count("calls without an answer");
        let mut lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
        lost.push(format!("{} {error:?}", self.now()));
        None
    }

    /// How the calls ended that got no answer.
    pub(crate) fn lost(&self) -> Vec<String> {
        self.lost.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Asks a question until it is answered by somebody who can.
    pub(crate) async fn ask(&self, txtype: &str, pairs: &[(&str, &str)]) -> Answer {
        let body = body(txtype, pairs);
        let began = Instant::now();
        loop {
            if let Some(text) = self.send(&body).await {
                let answer = decode(&text);
                let unavailable =
                    answer.get("REQUESTFAILREASON").is_some_and(|r| r == "SYSTEM_ERROR");
                if !unavailable || answer["ERRMSG"].starts_with("Outcome not known") {
                    return answer;
                }
            }
            let log = || self.program.log();
            assert!(began.elapsed() < PATIENCE, "no answer to {txtype} {pairs:?}; {}", log());
            look_again().await;
        }
    }

    /// A page of the admin listener; status 0 if it does not answer.
    pub(crate) async fn admin(&self, path: &str) -> (u16, String) {
        self.get(&format!("{}{path}", self.program.admin())).await
    }

    pub(crate) async fn get(&self, url: &str) -> (u16, String) {
        match self.http.get(url).timeout(Duration::from_secs(5)).send().await {
            Ok(answer) => (answer.status().as_u16(), answer.text().await.unwrap_or_default()),
            Err(_) => (0, String::new()),
        }
    }

    /// Waits until the program is ready or has ended; true if it is ready.
    pub(crate) async fn until_up(&self) -> bool {
        self.until_ready(&self.program).await
    }

    pub(crate) async fn until_ready(&self, program: &Program) -> bool {
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            if program.ended().is_some() {
                return false;
            }
            if self.is_ready(program).await {
                return true;
            }
            look_again().await;
        }
        panic!("neither ready nor at its end; the log: {}", program.log());
    }

    pub(crate) async fn eventually(&self, what: &str, holds: impl AsyncFn() -> bool) {
        let began = Instant::now();
        while !holds().await {
            assert!(
                began.elapsed() < PATIENCE,
                "still waiting for: {what}; the log: {}",
                self.program.log()
            );
            look_again().await;
        }
    }
}
