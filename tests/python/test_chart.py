"""The chart of helm/, rendered by the real Helm with the values of helm/ci: manifests, values, configuration, secrets, Kafka.

Names of files, rights, topics, paths and keys are not repeated here: they are read from where the program has them.
"""

from __future__ import annotations

import json
import pathlib
import re
import shutil
import tempfile
import unittest

import jsonschema
import yaml

from chart import (
    CASES, CHART, KUBERNETES, NAME, NAMESPACE, PARTS, RELEASE, ROLES, ROOT, SECRETS, call, configuration, container,
    errors, load, of_kind, pods, render, rule, secret_mounts, source, template, values,
)


def leaves(tree, path=()):
    """Every text in a tree, with its place."""
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield from leaves(value, (*path, str(key)))
    elif isinstance(tree, list):
        for index, value in enumerate(tree):
            yield from leaves(value, (*path, str(index)))
    else:
        yield path, tree


class Manifests(unittest.TestCase):
    def test_lint_has_nothing_to_say(self):
        self.assertGreaterEqual(len(CASES), 5)
        for case in CASES:
            with self.subTest(case):
                done = call("lint", "--strict", CHART, "--values", values(case))
                self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
                self.assertNotRegex(done.stdout, r"\[(WARNING|ERROR)\]")

    def test_a_strict_api_server_takes_every_manifest(self):
        for case in CASES:
            for kubernetes in KUBERNETES:
                for manifest in render(case, "--kube-version", kubernetes):
                    with self.subTest(case, kubernetes=kubernetes, name=manifest["metadata"]["name"]):
                        self.assertEqual(errors(manifest, kubernetes), [])

    def test_the_schemas_refuse_what_they_do_not_know(self):
        """Else the test above would say nothing: in each kind a field that is not known, and one of another type."""
        kinds = {one["kind"]: one for case in CASES for one in render(case)}
        for kind in ("KafkaTopic", "KafkaUser", "ServiceMonitor", "StatefulSet", "NetworkPolicy"):
            self.assertIn(kind, kinds)
        for kind, manifest in kinds.items():
            place = "data" if kind == "ConfigMap" else "spec"
            if kind == "ServiceAccount":
                continue
            with self.subTest(kind):
                wrong = 1 if kind == "ConfigMap" else {"x": 1}
                self.assertTrue(errors({**manifest, place: {**manifest[place], "surprise": wrong}}))
                self.assertTrue(errors({**manifest, place: "text"}))
        self.assertTrue(errors({**kinds["KafkaUser"], "apiVersion": "kafka.strimzi.io/v0"}))

    def test_the_oldest_kubernetes_is_the_one_of_the_chart(self):
        chart = load(CHART / "Chart.yaml")
        self.assertEqual(chart["kubeVersion"], f">={KUBERNETES[0]}.0-0")
        self.assertNotEqual(template("minimal", "--kube-version", "1.28").returncode, 0)

    def test_the_version_of_the_program_is_that_of_the_workspace(self):
        version = re.search(r'^version = "(.+)"$', source("Cargo.toml"), re.MULTILINE)[1]
        chart = load(CHART / "Chart.yaml")
        self.assertEqual(chart["appVersion"], version)
        self.assertEqual(container(pods(render("minimal"))["worker"])["image"], f"registry.example/rettidig:{version}")

    def test_names_are_unique_and_fit_however_long_the_release_is(self):
        release = "a" * 53
        for case in CASES:
            done = call("template", release, CHART, "--values", values(case))
            self.assertEqual(done.returncode, 0, done.stderr)
            found = [one for one in yaml.safe_load_all(done.stdout) if one]
            names = [(one["kind"], one["metadata"]["name"]) for one in found]
            self.assertEqual(len(names), len(set(names)), case)
            for kind, name in names:
                # A pod's name stands in a label, with ten characters more.
                self.assertLessEqual(len(name), 52, kind)

    def test_every_manifest_is_in_the_namespace_of_the_release(self):
        for case in CASES:
            for manifest in render(case):
                namespace = manifest["metadata"].get("namespace", NAMESPACE)
                elsewhere = case == "certificates" and manifest["kind"].startswith("Kafka")
                self.assertEqual(namespace, "kafka" if elsewhere else NAMESPACE, manifest["metadata"]["name"])


class Values(unittest.TestCase):
    def setUp(self):
        self.schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))

    def objects(self, schema, path=""):
        """Every schema of an object."""
        if isinstance(schema, list):
            for index, one in enumerate(schema):
                yield from self.objects(one, f"{path}/{index}")
        elif isinstance(schema, dict):
            if schema.get("type") == "object":
                yield path, schema
            for key, one in schema.items():
                yield from self.objects(one, f"{path}/{key}")

    def known(self, *path: str) -> set[str]:
        """The keys that the schema knows below a place."""
        schema = self.schema
        for key in path:
            schema = schema["properties"][key]
            while "$ref" in schema:
                schema = self.schema["definitions"][schema["$ref"].rsplit("/", 1)[1]]
        return set(schema["properties"])

    def test_no_object_is_open(self):
        found = dict(self.objects(self.schema))
        self.assertGreater(len(found), 40)
        for path, schema in found.items():
            with self.subTest(path):
                more = schema.get("additionalProperties")
                # Closed, or free names of values that have a type; `global` belongs to Helm and stays empty.
                self.assertTrue(more is False or isinstance(more, dict) and more or schema.get("maxProperties") == 0)

    def test_an_unknown_key_is_refused_wherever_it_stands(self):
        given = load(CHART / "values.yaml")
        self.assertEqual(list(jsonschema.Draft7Validator(self.schema).iter_errors(given)), [])
        free = {"nodeSelector", "labels", "annotations", "settings", "files", "matchLabels"}

        def with_surprise(tree, key=""):
            if isinstance(tree, dict):
                if key not in free:
                    yield {**tree, "surprise": 1}
                for name, value in tree.items():
                    yield from ({**tree, name: one} for one in with_surprise(value, name))
            elif isinstance(tree, list):
                for index, value in enumerate(tree):
                    yield from ([*tree[:index], one, *tree[index + 1:]] for one in with_surprise(value))

        cases = list(with_surprise(given))
        self.assertGreater(len(cases), 40)
        for wrong in cases:
            self.assertTrue(list(jsonschema.Draft7Validator(self.schema).iter_errors(wrong)), wrong)

    def test_helm_itself_says_which_key_it_does_not_know(self):
        for path, word in [("surprise", "surprise"), ("config.kafka.broker", "broker"), ("config.data", "data"),
                           ("workers.replica", "replica"), ("web.type", "type"), ("config.tls", "tls"), ("ballista.executors.memory", "memory")]:
            done = template("minimal", "--set", f"{path}=1")
            self.assertNotEqual(done.returncode, 0, path)
            self.assertIn(f"additional properties '{word}' not allowed", done.stderr)

    def test_what_must_be_said_is_asked_for_by_name(self):
        for path in ("image.repository", "config.kafka.brokers"):
            done = template("minimal", "--set", f"{path}=")
            self.assertIn(f"{path}: ", done.stderr)
            self.assertNotEqual(done.returncode, 0)
        done = template("minimal", "--set", "strimzi.users.enabled=true")
        self.assertIn("strimzi.cluster: ", done.stderr)

    def test_config_takes_the_keys_of_the_program_and_no_others(self):
        known = load(ROOT / "pipeline/cli/default.yaml")
        # The chart sets these itself, the last four from `web`.
        self.assertEqual(self.known("config"), set(known) - {"data", "listen", "access", "tls", "sql", "publisher"})
        self.assertEqual(self.known("web", "publisher"), set(known["publisher"]))
        self.assertEqual(self.known("config", "kafka"), set(known["kafka"]))
        self.assertEqual(self.known("config", "connectors"), set(known["connectors"]))
        for name, keys in known["connectors"].items():
            self.assertEqual(self.known("config", "connectors", name), set(keys))
        self.assertEqual(self.known("config", "push"), set(known["push"]))
        templates = dict(re.findall(r'pub const (FEED|TABLE|CLIENT): &str = "(.+)";', source("pipeline/cli/src/persons.rs")))
        config = self.schema["properties"]["config"]["properties"]
        for name, schema in [("FEED", config["feeds"]["additionalProperties"]),
                             ("TABLE", config["tables"]["additionalProperties"]),
                             ("CLIENT", config["push"]["properties"]["clients"]["items"])]:
            self.assertEqual(set(schema["properties"]), set(yaml.safe_load(templates[name])), name)

    def test_as_many_workers_as_there_are_partitions(self):
        topics = {one["name"]: one for one in load(CHART / "kafka-topics.yaml")}
        most = self.schema["properties"]["workers"]["properties"]["replicas"]["maximum"]
        self.assertEqual(most, topics["rettidig.payments"]["partitions"])
        self.assertEqual(self.schema["properties"]["committers"]["properties"]["replicas"]["minimum"], 2)

    def test_the_readme_says_what_each_value_means(self):
        readme = (CHART / "README.md").read_text(encoding="utf-8")
        for key, below in load(CHART / "values.yaml").items():
            for name in [f"`{key}.{name}`" for name in below] if isinstance(below, dict) else [f"`{key}`"]:
                self.assertTrue(name in readme, name)

    def test_the_values_of_the_readme_can_be_installed(self):
        text = re.search(r"<<'END'\n(.*?)\nEND\n", (CHART / "README.md").read_text(encoding="utf-8"), re.DOTALL)[1]
        with tempfile.NamedTemporaryFile("w", suffix=".yaml", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            done = call("template", "rettidig", CHART, "--values", file.name)
        self.assertEqual(done.returncode, 0, done.stderr)
        names = {one["metadata"]["name"] for one in yaml.safe_load_all(done.stdout) if one}
        # What it says about web goes on from there.
        more = re.findall(r"--set (web\.\S+)", (CHART / "README.md").read_text(encoding="utf-8"))
        self.assertEqual(len(more), 3)
        with tempfile.NamedTemporaryFile("w", suffix=".yaml", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            upgraded = call("template", "rettidig", CHART, "--values", file.name, "--set", ",".join(more))
        self.assertEqual(upgraded.returncode, 0, upgraded.stderr)
        manifests = [one for one in yaml.safe_load_all(upgraded.stdout) if one]
        self.assertEqual([error for one in manifests for error in errors(one)], [])
        (web,) = [one for one in manifests if one["kind"] == "Deployment" and one["metadata"]["name"] == "rettidig-web"]
        made = set(re.findall(r"create secret \w+ (\S+)", (CHART / "README.md").read_text(encoding="utf-8")))
        self.assertEqual(set(secret_mounts(web["spec"]["template"])), made - {"jobindsats"})
        # What the README speaks of by name.
        self.assertLessEqual({"rettidig-web", "rettidig-connector", "rettidig-worker", "rettidig-committer"}, names)


class Notes(unittest.TestCase):
    def notes(self, case: str, *arguments: str) -> str:
        done = call("install", RELEASE, CHART, "--dry-run=client", "--namespace", NAMESPACE, "--values", values(case), *arguments)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout.split("NOTES:\n")[1]

    def test_it_says_where_the_pages_are_and_that_there_is_no_ingress(self):
        for case, port, scheme in (("minimal", 9464, "http"), ("persons", 443, "https")):
            text = self.notes(case)
            self.assertIn(f"port-forward service/{NAME}-web 9464:{port}\n", text)
            self.assertIn(f"{scheme}://127.0.0.1:9464/", text)
            self.assertIn("No Ingress was made", text)
        text = self.notes("minimal", "--set", "web.enabled=false")
        self.assertNotIn("port-forward", text)
        self.assertIn("web.enabled is false", text)
        self.assertNotIn("networkPolicy.web.from", text)

    def test_it_says_who_is_kept_out_and_what_is_not_encrypted(self):
        words = ("networkPolicy.web.from", "networkPolicy.sql.from", "web.tls.existingSecret")
        self.assertEqual([word in self.notes("persons") for word in words], [False, False, False])
        self.assertEqual([word in self.notes("minimal") for word in words], [True, False, False])
        given = ("--set", "web.sql.enabled=true,web.tokensSecret=readers")
        self.assertEqual([word in self.notes("minimal", *given) for word in words], [True, True, True])
        open_ = (*given, "--set", "networkPolicy.enabled=false,web.tls.existingSecret=t")
        self.assertEqual([word in self.notes("minimal", *open_) for word in words], [False, False, False])


class Configuration(unittest.TestCase):
    def test_connectors_have_what_was_given_and_the_chart_says_where(self):
        given = load(values("persons"))
        config = configuration(render("persons"), "connectors")
        for key in ("feeds", "tables", "push", "pseudonym_key_file", "connectors"):
            self.assertEqual(config[key], given["config"][key], key)
        self.assertEqual(config["data"], "/data")
        self.assertEqual(config["listen"], "0.0.0.0:9464")
        self.assertEqual(config["kafka"]["brokers"], given["config"]["kafka"]["brokers"])

    def test_workers_and_committers_are_told_of_no_source(self):
        every = set(load(ROOT / "pipeline/cli/default.yaml")["connectors"])
        for case in CASES:
            for part in ("workers", "committers"):
                config = configuration(render(case), part)
                self.assertEqual(set(config), {"data", "listen", "kafka", "connectors"}, case)
                self.assertEqual(config["connectors"], {name: {"enabled": False} for name in every})

    def test_web_is_told_of_neither_kafka_nor_sources(self):
        for case in CASES:
            self.assertLessEqual(set(configuration(render(case), "web")), {"data", "listen", "connectors", "access", "tls", "sql", "publisher"})
        config = configuration(render("minimal"), "web")
        off = {name: {"enabled": False} for name in load(ROOT / "pipeline/cli/default.yaml")["connectors"]}
        self.assertEqual(config, {
            "data": "/data", "listen": "0.0.0.0:9464", "connectors": off, "access": {"requests_per_minute": 1200},
        })

    def test_web_has_tls_tokens_and_sql_where_they_are_asked_for(self):
        config = configuration(render("persons"), "web")
        self.assertEqual(config["access"], {"tokens_file": f"{SECRETS}readers/tokens.yaml", "requests_per_minute": 600})
        folder = f"{SECRETS}rettidig.example.org"
        self.assertEqual(config["tls"], {"certificate_file": f"{folder}/tls.crt", "key_file": f"{folder}/tls.key"})
        self.assertEqual(config["sql"], {"listen": "0.0.0.0:5432"})
        known = load(ROOT / "pipeline/cli/default.yaml")
        for section in ("access", "tls", "sql", "publisher"):
            self.assertEqual(set(config[section]), set(known[section]), section)

    def test_requests_can_be_left_to_the_proxy_in_front(self):
        config = configuration(render("minimal", "--set", "web.requestsPerMinute=null"), "web")
        self.assertEqual(config["access"], {"requests_per_minute": None})
        # The largest that the program takes, from a file of values: a number with a fraction to Helm, and one without to the program.
        config = configuration(render("minimal", "--set-json", "web.requestsPerMinute=4294967295"), "web")
        self.assertEqual(repr(config["access"]), "{'requests_per_minute': 4294967295}")
        self.assertNotEqual(template("minimal", "--set", "web.requestsPerMinute=0").returncode, 0)

    def test_each_part_is_its_own_user_of_kafka(self):
        manifests = render("persons")
        for part, user in [("connectors", "connector"), ("workers", "worker"), ("committers", "committer")]:
            kafka = configuration(manifests, part)["kafka"]
            self.assertEqual(kafka["settings"]["sasl.username"], user)
            self.assertEqual(kafka["settings"]["security.protocol"], "sasl_ssl")
            self.assertEqual(kafka["password_file"], f"{SECRETS}kafka-{user}/password")

    def test_users_of_strimzi_are_used_as_strimzi_makes_them(self):
        for part, principal in [("connectors", "connector"), ("workers", "worker"), ("committers", "committer")]:
            user = f"{NAME}-{principal}"
            kafka = configuration(render("strimzi"), part)["kafka"]
            self.assertEqual(kafka["password_file"], f"{SECRETS}{user}/password")
            self.assertEqual(kafka["settings"], {
                "security.protocol": "sasl_ssl", "sasl.mechanism": "SCRAM-SHA-512", "sasl.username": user,
                "ssl.ca.location": f"{SECRETS}policy-cluster-ca-cert/ca.crt",
            })
            settings = configuration(render("certificates"), part)["kafka"]["settings"]
            self.assertEqual(settings["ssl.certificate.location"], f"{SECRETS}{user}/user.crt")
            self.assertEqual(settings["ssl.key.location"], f"{SECRETS}{user}/user.key")
            self.assertEqual(settings["client.rack"], "east")

    def test_what_is_given_goes_over_what_follows_and_a_parts_own_over_both(self):
        given = render(
            "strimzi", "--set-string", r"config.kafka.settings.ssl\.ca\.location=/all",
            "--set-string", r"workers.kafka.settings.ssl\.ca\.location=/own,workers.kafka.password_file=/password",
        )
        found = {part: configuration(given, part)["kafka"] for part in ROLES}
        places = {part: kafka["settings"]["ssl.ca.location"] for part, kafka in found.items()}
        self.assertEqual(places, {"connectors": "/all", "workers": "/own", "committers": "/all"})
        self.assertEqual(found["workers"]["password_file"], "/password")
        self.assertEqual(found["committers"]["password_file"], f"{SECRETS}{NAME}-committer/password")

    def test_files_that_a_configuration_names_are_mounted_in_its_pod(self):
        looked_at = 0
        for case in CASES:
            manifests = render(case)
            for part, component in PARTS.items():
                if case == "ballista" and part == "connectors":
                    continue
                pod = pods(manifests)[component]
                mounted = set(secret_mounts(pod).values())
                folders = {one["mountPath"] for one in container(pod)["volumeMounts"]}
                for path, value in leaves(configuration(manifests, part)):
                    if not isinstance(value, str) or not value.startswith("/"):
                        continue
                    looked_at += 1
                    if value.startswith(SECRETS):
                        self.assertIn(value.rsplit("/", 1)[0], mounted, path)
                    elif value.startswith("/etc/rettidig/config/"):
                        self.assertIn(value.rsplit("/", 1)[1], of_kind(manifests, "ConfigMap")[part]["data"])
                    else:
                        self.assertIn(value, folders, path)
        self.assertGreater(looked_at, 30)

    def test_files_beside_it_are_taken_word_for_word(self):
        text = "    indented: 'Ærø' # <b>{{ .Values }}</b>\n\n  - less\n\ttab: \"x\" \\n"
        with tempfile.NamedTemporaryFile("w", suffix=".yaml", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            found = render("persons", "--set-file", rf"connectors.files.own\.yaml={file.name}")
        self.assertEqual(of_kind(found, "ConfigMap")["connectors"]["data"]["own.yaml"], text)

    def test_a_changed_configuration_starts_the_pods_anew_and_nothing_else_does(self):
        def sums(*arguments):
            found = pods(render("persons", *arguments))
            return {name: one["metadata"]["annotations"]["checksum/config"] for name, one in found.items()}

        before = sums()
        self.assertEqual(sums("--set", "workers.replicas=5"), before)
        self.assertEqual(sums("--set", "config.pseudonym_key_file=/etc/x")["worker"], before["worker"])
        self.assertNotEqual(sums("--set", "config.pseudonym_key_file=/etc/x")["connectors"], before["connectors"])
        self.assertNotEqual(sums("--set", "config.kafka.brokers=b:1")["worker"], before["worker"])
        self.assertEqual(sums("--set", "config.kafka.brokers=b:1")["web"], before["web"])
        self.assertNotEqual(sums("--set", "web.requestsPerMinute=1")["web"], before["web"])
        self.assertEqual(sums("--set", "web.requestsPerMinute=1")["committer"], before["committer"])
        self.assertNotEqual(sums("--set-string", r"connectors.files.cases\.yaml=x")["connectors"], before["connectors"])

    def test_a_configuration_of_ones_own_is_a_secret(self):
        manifests = render("ballista")
        self.assertNotIn("config.yaml", of_kind(manifests, "ConfigMap")["connectors"].get("data") or {})
        volumes = pods(manifests)["connectors"]["spec"]["volumes"]
        (sources,) = [one["projected"]["sources"] for one in volumes if one["name"] == "config"]
        expected = {"name": "rettidig-connectors", "items": [{"key": "config.yaml", "path": "config.yaml"}]}
        self.assertIn({"secret": expected}, sources)


class Secrets(unittest.TestCase):
    def test_what_is_secret_cannot_be_given_as_a_value(self):
        for path in (
            r"config.kafka.settings.sasl\.password", r"config.kafka.settings.ssl\.key\.pem",
            r"config.kafka.settings.ssl\.keystore\.password", r"workers.kafka.settings.sasl\.password",
            r"config.kafka.settings.sasl\.oauthbearer\.client\.secret", r"config.kafka.settings.sasl\.oauthbearer\.config",
            "config.feeds.a.storage.aws_secret_access_key", "config.feeds.a.storage.azure_storage_sas_token",
            "config.feeds.a.storage.google_service_account_key", "config.feeds.a.storage.AWS_ACCESS_KEY_ID",
        ):
            with self.subTest(path):
                done = template("minimal", "--set-string", f"{path}=S3CRET")
                self.assertNotEqual(done.returncode, 0)
                self.assertNotIn("S3CRET", done.stdout)
        done = template("minimal", "--set-string", r"config.kafka.settings.ssl\.key\.location=/x,config.feeds.a.place=s3://b,"
                        "config.feeds.a.storage.aws_region=eu-north-1")
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_no_manifest_is_a_secret_and_no_environment_holds_one(self):
        for case in CASES:
            manifests = render(case)
            self.assertEqual(of_kind(manifests, "Secret"), {})
            for pod in pods(manifests).values():
                self.assertNotIn("envFrom", container(pod))
                for entry in container(pod)["env"] or []:
                    self.assertIn(entry["name"], {"POD_NAME", "POD_IP", "RETTIDIG_LOG"})
                    self.assertNotIn("secretKeyRef", entry.get("valueFrom", {}))

    def test_each_part_sees_its_own_secrets_only(self):
        found = {name: set(secret_mounts(pod)) for name, pod in pods(render("persons")).items()}
        connectors = {"kafka-ca", "kafka-connector", "pseudonyms", "cases.database", "push"}
        self.assertEqual(found["connectors"], connectors)
        self.assertEqual(found["worker"], {"kafka-ca", "kafka-worker"})
        self.assertEqual(found["committer"], {"kafka-ca", "kafka-committer"})
        # Nothing of Kafka.
        self.assertEqual(found["web"], {"readers", "rettidig.example.org"})
        found = {name: set(secret_mounts(pod)) for name, pod in pods(render("strimzi")).items()}
        self.assertEqual(found["worker"], {f"{NAME}-worker", "policy-cluster-ca-cert"})
        self.assertEqual(found["web"], set())
        for case in CASES:
            for name, pod in pods(render(case)).items():
                for secret, path in secret_mounts(pod).items():
                    self.assertEqual(path, SECRETS + secret)
                if name.startswith("ballista"):
                    self.assertEqual(secret_mounts(pod), {})


class Kafka(unittest.TestCase):
    def test_the_topics_are_those_of_the_program(self):
        text = source("pipeline/event/src/topic.rs")

        def arms(function: str) -> dict[str, str]:
            body = re.search(rf"fn {function}\(self\).*?match self \{{(.*?)\n        \}}", text, re.DOTALL)[1]
            found = re.findall(r"((?:Self::\w+(?: \| )?)+|_) => (.+),", body)
            return {name: value for names, value in found for name in re.findall(r"\w+", names.replace("Self::", ""))}

        def number(value: str) -> int:
            day = 24 * 60 * 60 * 1000
            left, operator, right = (value.replace("DAY_MS", str(day)).split() + ["*", "1"])[:3]
            return int(left) << int(right) if operator == "<<" else int(left) * int(right)

        def of(function: str, topic: str) -> int:
            found = arms(function)
            return number(found.get(topic, found.get("_", "")))

        expected = [
            {"name": name.strip('"'), "partitions": of("partitions", topic), "retention_ms": of("retention_ms", topic),
             "max_message_bytes": of("max_message_bytes", topic)}
            for topic, name in arms("name").items()
        ]
        proposal = source("pipeline/runtime/src/roles/proposal.rs")
        expected.append({
            "name": re.search(r'pub const PROPOSALS: &str = "(.+)";', proposal)[1], "partitions": 1,
            "retention_ms": int(re.search(r"pub const RETENTION_MS: i64 = (\w+);", proposal)[1].replace("_", "")),
            "max_message_bytes": of("max_message_bytes", "DeadLetter"),
        })
        self.assertEqual(load(CHART / "kafka-topics.yaml"), expected)

    def test_strimzi_makes_those_topics(self):
        made = of_kind(render("strimzi"), "KafkaTopic")
        expected = {one["name"]: one for one in load(CHART / "kafka-topics.yaml")}
        self.assertEqual(set(made), set(expected))
        for name, topic in made.items():
            self.assertEqual(topic["metadata"]["labels"]["strimzi.io/cluster"], "policy")
            self.assertEqual(topic["metadata"]["annotations"], {"helm.sh/resource-policy": "keep"})
            wanted = expected[name]
            self.assertEqual(topic["spec"], {"partitions": wanted["partitions"], "replicas": 3, "config": {
                "cleanup.policy": "delete", "retention.ms": wanted["retention_ms"],
                "max.message.bytes": wanted["max_message_bytes"], "min.insync.replicas": 2,
            }})

    def test_strimzi_gives_the_rights_of_the_file_that_a_broker_was_tried_with(self):
        """tests/tests/kafka/apache/acls.rs applies that file to a broker; here every right of it must come out, and no other."""
        for case, authentication in (("strimzi", "scram-sha-512"), ("certificates", "tls")):
            users = of_kind(render(case), "KafkaUser")
            expected = {}
            for entry in load(CHART / "kafka-acls.yaml"):
                expected[entry["principal"].removeprefix("User:")] = sorted(
                    (rule["resource"], name, operation)
                    for rule in entry["rules"] for name in rule["names"] for operation in rule["operations"]
                )
            del expected["all"]
            self.assertEqual(set(users), set(expected))
            for name, user in users.items():
                spec = user["spec"]
                self.assertEqual(spec["authentication"], {"type": authentication})
                self.assertEqual(spec["authorization"]["type"], "simple")
                acls = spec["authorization"]["acls"]
                for acl in acls:
                    self.assertEqual((acl["host"], acl["type"], acl["resource"]["patternType"]), ("*", "allow", "literal"))
                found = sorted(
                    (acl["resource"]["type"], acl["resource"]["name"], operation) for acl in acls for operation in acl["operations"]
                )
                self.assertEqual(found, expected[name], name)

    def test_without_strimzi_nothing_of_it_is_there(self):
        kinds = {one["kind"] for case in ("minimal", "persons", "ballista") for one in render(case)}
        self.assertFalse({kind for kind in kinds if kind.startswith("Kafka")})


class Files(unittest.TestCase):
    """Alerts and dashboards are files of the chart: here a copy of it with files that are known."""

    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="rettidig-chart-")
        self.addCleanup(self.folder.cleanup)
        self.chart = pathlib.Path(self.folder.name) / "rettidig"
        shutil.copytree(CHART, self.chart, ignore=shutil.ignore_patterns("alerts", "dashboards"))

    def write(self, path: str, text: str):
        place = self.chart / path
        place.parent.mkdir(exist_ok=True)
        place.write_text(text, encoding="utf-8")

    def test_without_files_nothing_is_made(self):
        found = render("strimzi", chart=self.chart)
        self.assertEqual(of_kind(found, "PrometheusRule"), {})
        self.assertEqual([name for name in of_kind(found, "ConfigMap") if "dashboard" in name], [])

    def test_alerts_become_one_resource_word_for_word(self):
        groups = [
            {"name": name, "interval": "30s", "rules": [{
                "alert": name, "expr": 'rettidig_up{job=~".+"} == 0', "for": "5m", "labels": {"severity": "page"},
                "annotations": {"summary": "{{ $labels.job }} {{ printf \"%.1f\" $value }} ødelagt"},
            }]} for name in ("EpochStuck", "SourceLate")
        ]
        for group in groups:
            self.write(f"alerts/{group['name']}.yaml", yaml.safe_dump({"groups": [group]}))
        found = render("strimzi", chart=self.chart)
        (made,) = of_kind(found, "PrometheusRule").values()
        self.assertEqual(made["spec"]["groups"], groups)
        self.assertEqual(made["metadata"]["labels"]["release"], "prometheus")
        self.assertEqual(errors(made), [])
        self.assertTrue(errors({**made, "spec": {"groups": [{"name": "x", "rules": [{"expression": "1"}]}]}}))
        self.assertEqual(of_kind(render("minimal", chart=self.chart), "PrometheusRule"), {})

    def test_runbooks_are_linked_where_the_repository_is_shown(self):
        rules = [{"record": "a:b:sum", "expr": "1"}, {"alert": "A", "expr": "1"},
                 {"alert": "B", "expr": "1", "annotations": {"summary": "s", "runbook_url": "helm/runbooks/B.md"}}]
        self.write("alerts/B.yaml", yaml.safe_dump({"groups": [{"name": "B", "rules": rules}]}))

        def found(base: str) -> list[dict]:
            (made,) = of_kind(render("strimzi", "--set", f"monitoring.rules.runbookBase={base}", chart=self.chart), "PrometheusRule").values()
            return made["spec"]["groups"][0]["rules"]

        self.assertEqual(found(""), rules)
        linked = [*rules[:2], {**rules[2], "annotations": {"summary": "s", "runbook_url": "https://git.example/main/helm/runbooks/B.md"}}]
        for base in ("https://git.example/main", "https://git.example/main/"):
            self.assertEqual(found(base), linked)
        self.assertNotEqual(template("strimzi", "--set", "monitoring.rules.runbookBase=main").returncode, 0)
        # So are those of the dashboards.
        for base in ("", "https://git.example/main/"):
            maps = of_kind(render("strimzi", "--set", f"monitoring.rules.runbookBase={base}"), "ConfigMap")
            boards = [json.loads(text) for made in maps.values() for name, text in made.get("data", {}).items() if "dashboard" in made["metadata"]["name"]]
            self.assertGreater(len(boards), 3)
            places = {one["query"] for board in boards for one in board["templating"]["list"] if one["name"] == "runbooks"}
            self.assertEqual(places, {base.rstrip("/") or "https://runbooks.example/rettidig"})
        # Every alert that is shipped has one.
        (made,) = of_kind(render("strimzi", "--set", "monitoring.rules.runbookBase=https://git.example"), "PrometheusRule").values()
        urls = [rule["annotations"]["runbook_url"] for group in made["spec"]["groups"] for rule in group["rules"] if "alert" in rule]
        self.assertGreater(len(urls), 9)
        for url in urls:
            self.assertTrue((ROOT / url.removeprefix("https://git.example/")).is_file(), url)

    def test_a_file_that_is_no_rule_file_is_named(self):
        self.write("alerts/Broken.yaml", "rules: []\n")
        done = template("strimzi", chart=self.chart)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("alerts/Broken.yaml", done.stderr)

    def test_dashboards_become_labelled_configmaps(self):
        text = json.dumps({"title": "Drift {{ area }}", "panels": [{"description": "<b>Ærø & \u2028\U0001f600</b>\t"}]}, ensure_ascii=False, indent=1)
        self.write("dashboards/Job_centre.json", text)
        found = of_kind(render("strimzi", chart=self.chart), "ConfigMap")["dashboard-job-centre"]
        self.assertEqual(found["data"], {"Job_centre.json": text})
        self.assertEqual(found["metadata"]["labels"]["grafana_dashboard"], "1")
        self.assertEqual(found["metadata"]["annotations"], {"grafana_folder": "Rettidig"})
        self.assertEqual(errors(found), [])

    def test_the_files_that_are_there_come_out(self):
        manifests = render("strimzi")
        groups = [group for path in sorted((CHART / "alerts").glob("*.yaml")) for group in load(path)["groups"]]
        self.assertEqual(len({group["name"] for group in groups}), len(groups), "names of groups are unique")
        made = [group for one in of_kind(manifests, "PrometheusRule").values() for group in one["spec"]["groups"]]
        self.assertEqual(made, groups)
        expected = {path.name: path.read_text(encoding="utf-8") for path in (CHART / "dashboards").glob("*.json")}
        maps = of_kind(manifests, "ConfigMap")
        found = {key: text for name, one in maps.items() if name.startswith("dashboard-") for key, text in one["data"].items()}
        self.assertEqual(found, expected)


if __name__ == "__main__":
    unittest.main()
