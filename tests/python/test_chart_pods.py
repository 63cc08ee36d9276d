"""What runs in the cluster: pods and what they may do, the shared volume, Services, the network, Ballista."""

from __future__ import annotations

import re
import unittest

from chart import (
    CASES, NAME, PARTS, ROLES, SECRETS, configuration, container, errors, load, of_kind, pods, ports, render, rule,
    secret_mounts, selects, source, template, values,
)


class Pods(unittest.TestCase):
    def each(self):
        for case in CASES:
            for name, pod in pods(render(case)).items():
                yield case, name, pod

    def test_pods_are_restricted(self):
        """What the Pod Security Standard `restricted` asks for, and more: nothing is written but to volumes."""
        for case, _, pod in self.each():
            spec = pod["spec"]
            user = 1500 if case == "persons" else 65532
            self.assertEqual(spec["securityContext"], {
                "runAsNonRoot": True, "runAsUser": user, "runAsGroup": user, "fsGroup": user,
                "fsGroupChangePolicy": "OnRootMismatch", "seccompProfile": {"type": "RuntimeDefault"},
            })
            self.assertIs(spec["automountServiceAccountToken"], False)
            self.assertNotIn("initContainers", spec)
            for key in ("hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace"):
                self.assertNotIn(key, spec)
            for volume in spec["volumes"]:
                self.assertLessEqual(set(volume), {"name", "secret", "projected", "emptyDir", "persistentVolumeClaim"})
            for one in spec["containers"]:
                self.assertEqual(one["securityContext"], {
                    "allowPrivilegeEscalation": False, "privileged": False, "readOnlyRootFilesystem": True,
                    "runAsNonRoot": True, "capabilities": {"drop": ["ALL"]}, "seccompProfile": {"type": "RuntimeDefault"},
                })
                self.assertNotIn("command", one)

    def test_the_service_account_has_no_token(self):
        manifests = render("minimal")
        (account,) = of_kind(manifests, "ServiceAccount").values()
        self.assertIs(account["automountServiceAccountToken"], False)
        for pod in pods(manifests).values():
            self.assertEqual(pod["spec"]["serviceAccountName"], account["metadata"]["name"])
        self.assertFalse({"Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"} & {one["kind"] for one in manifests})

    def test_memory_is_limited_and_asked_for_and_scratch_too(self):
        for _, _, pod in self.each():
            resources = container(pod)["resources"]
            self.assertIn("memory", resources["limits"])
            self.assertLessEqual({"cpu", "memory"}, set(resources["requests"]))
            for volume in pod["spec"]["volumes"]:
                if "emptyDir" in volume:
                    self.assertIn("sizeLimit", volume["emptyDir"])

    def test_volumes_are_those_that_are_mounted(self):
        for _, name, pod in self.each():
            claimed = {"data"} if name == "connectors" else set()
            volumes = {one["name"] for one in pod["spec"]["volumes"]} | claimed
            mounts = container(pod)["volumeMounts"]
            self.assertEqual({one["name"] for one in mounts}, volumes)
            self.assertEqual(len({one["mountPath"] for one in mounts}), len(mounts))

    def test_liveness_asks_the_process_and_readiness_whether_it_has_its_place(self):
        routes = re.findall(r'\.route\("([^"]+)"', source("pipeline/serve/src/routes.rs"))
        for case, name, pod in self.each():
            one = container(pod)
            if name.startswith("ballista"):
                self.assertEqual(one["livenessProbe"]["tcpSocket"], one["readinessProbe"]["tcpSocket"])
                continue
            # /healthz answers whatever Kafka does; test_chart_program asks it with no broker there.
            how = {"port": "http"} | ({"scheme": "HTTPS"} if (case, name) == ("persons", "web") else {})
            self.assertEqual(one["livenessProbe"]["httpGet"], {"path": "/healthz", **how})
            self.assertEqual(one["startupProbe"]["httpGet"], {"path": "/healthz", **how})
            self.assertEqual(one["readinessProbe"]["httpGet"], {"path": "/readyz", **how})
            self.assertLessEqual({"/healthz", "/readyz", "/metrics"}, set(routes))
            listen = configuration(render("minimal"), "workers")["listen"]
            self.assertEqual(one["ports"][0], {"name": "http", "containerPort": int(listen.rsplit(":", 1)[1])})
            more = [{"name": "sql", "containerPort": 5432}] if (case, name) == ("persons", "web") else []
            self.assertEqual(one["ports"][1:], more, (case, name))

    def test_workers_keep_their_names_and_committers_do_not(self):
        manifests = render("persons")
        found = {name: container(pod) for name, pod in pods(manifests).items()}
        run = ["run", "--config", "/etc/rettidig/config/config.yaml", "--role"]
        self.assertEqual(found["worker"]["args"], [*run, "worker", "--instance", "$(POD_NAME)"])
        self.assertEqual(found["committer"]["args"], [*run, "committer"])
        self.assertEqual(found["connectors"]["args"], [*run, "connectors"])
        self.assertEqual(found["web"]["args"], [*run, "web"])
        self.assertEqual(found["worker"]["env"], [
            {"name": "RETTIDIG_LOG", "value": "info,rettidig_runtime=debug"},
            {"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        ])
        self.assertEqual(set(of_kind(manifests, "StatefulSet")), {"connectors", "worker"})

    def test_one_connector_and_as_many_of_the_others_as_asked_for(self):
        manifests = render("persons")
        sets = of_kind(manifests, "StatefulSet")
        self.assertEqual(sets["connectors"]["spec"]["replicas"], 1)
        self.assertEqual(sets["worker"]["spec"]["replicas"], 4)
        committer = of_kind(manifests, "Deployment")["committer"]["spec"]
        self.assertEqual(committer["replicas"], 3)
        # Who waits is ready: one is replaced after the other.
        self.assertEqual(committer["strategy"]["rollingUpdate"], {"maxUnavailable": 1, "maxSurge": 0})
        web = of_kind(manifests, "Deployment")["web"]["spec"]
        self.assertEqual(web["replicas"], 3)
        # The pages are there while they are changed.
        self.assertEqual(web["strategy"]["rollingUpdate"], {"maxUnavailable": 0, "maxSurge": 1})
        for name in ("worker", "committer", "web"):
            (spread,) = pods(manifests)[name]["spec"]["topologySpreadConstraints"]
            self.assertTrue(selects(spread["labelSelector"], pods(manifests)[name]["metadata"]["labels"]))

    def test_where_pods_go_and_what_they_are_called_can_be_said(self):
        for pod in pods(render("persons")).values():
            self.assertEqual(pod["metadata"]["labels"]["cost-centre"], "42")
            self.assertEqual(pod["metadata"]["annotations"]["example.org/backup"], "no")
            self.assertEqual(pod["spec"]["nodeSelector"], {"kubernetes.io/arch": "amd64"})
            self.assertEqual(pod["spec"]["tolerations"][0]["key"], "dedicated")
            self.assertEqual(pod["spec"]["priorityClassName"], "important")
            self.assertEqual(pod["spec"]["imagePullSecrets"], [{"name": "registry"}])

    def test_an_image_is_named_by_digest_or_tag(self):
        image = container(pods(render("strimzi"))["worker"])["image"]
        self.assertRegex(image, r"^registry\.example/rettidig@sha256:[0-9a-f]{64}$")
        self.assertEqual(container(pods(render("certificates"))["worker"])["image"], "registry.example/rettidig:1.2")


class Data(unittest.TestCase):
    def test_all_but_connectors_share_a_folder_that_they_write_to(self):
        """Web too: it writes who read closed tables."""
        manifests = render("minimal")
        (claim,) = of_kind(manifests, "PersistentVolumeClaim").values()
        self.assertEqual(claim["spec"]["accessModes"], ["ReadWriteMany"])
        self.assertEqual(claim["metadata"]["annotations"], {"helm.sh/resource-policy": "keep"})
        shared = {"claimName": claim["metadata"]["name"]}
        for name, pod in pods(manifests).items():
            claims = [one["persistentVolumeClaim"] for one in pod["spec"]["volumes"] if "persistentVolumeClaim" in one]
            self.assertEqual(claims, [] if name == "connectors" else [shared], name)
            (mount,) = [one for one in container(pod)["volumeMounts"] if one["name"] == "data"]
            self.assertEqual(mount, {"name": "data", "mountPath": "/data"})
        (own,) = of_kind(manifests, "StatefulSet")["connectors"]["spec"]["volumeClaimTemplates"]
        self.assertEqual((own["metadata"]["name"], own["spec"]["accessModes"]), ("data", ["ReadWriteOnce"]))

    def test_an_existing_claim_is_used_and_none_is_made(self):
        manifests = render("persons")
        self.assertEqual(of_kind(manifests, "PersistentVolumeClaim"), {})
        (volume,) = [one for one in pods(manifests)["worker"]["spec"]["volumes"] if one["name"] == "data"]
        self.assertEqual(volume["persistentVolumeClaim"], {"claimName": "rettidig-shared"})

    def test_folders_that_files_arrive_in_are_read_only(self):
        found = pods(render("persons"))
        (mount,) = [one for one in container(found["connectors"])["volumeMounts"] if one["name"].startswith("folder")]
        self.assertEqual((mount["mountPath"], mount["readOnly"]), ("/srv/drop/yr", True))
        self.assertNotIn("/srv/drop/yr", [one["mountPath"] for one in container(found["worker"])["volumeMounts"]])


class Services(unittest.TestCase):
    def test_selectors_select_what_they_are_for(self):
        expected = {
            "web": {"web"}, "web-pods": {"web"}, "processes": set(ROLES.values()), "push": {"connectors"},
            "ballista-scheduler": {"ballista-scheduler"},
        }
        seen = set()
        for case in CASES:
            manifests = render(case)
            labels = {name: pod["metadata"]["labels"] for name, pod in pods(manifests).items()}
            for one in manifests:
                if one["kind"] in ("StatefulSet", "Deployment"):
                    own = one["spec"]["template"]["metadata"]["labels"]["app.kubernetes.io/component"]
                    chosen = {name for name, given in labels.items() if selects(one["spec"]["selector"], given)}
                    self.assertEqual(chosen, {own})
            for name, service in of_kind(manifests, "Service").items():
                chosen = {pod for pod in labels if selects({"matchLabels": service["spec"]["selector"]}, labels[pod])}
                self.assertEqual(chosen, expected[name], (case, name))
                seen.add(name)
            for name, budget in of_kind(manifests, "PodDisruptionBudget").items():
                chosen = {pod for pod in labels if selects(budget["spec"]["selector"], labels[pod])}
                self.assertEqual(chosen, {name})
                limit = {key: budget["spec"][key] for key in set(budget["spec"]) - {"selector"}}
                self.assertEqual(limit, {
                    "worker": {"maxUnavailable": 1, "unhealthyPodEvictionPolicy": "AlwaysAllow"},
                    "committer": {"maxUnavailable": 1, "unhealthyPodEvictionPolicy": "AlwaysAllow"},
                    # Ready or not is up to the committers; see web.yaml.
                    "web": {"minAvailable": 1, "unhealthyPodEvictionPolicy": "AlwaysAllow"},
                }[name])
            self.assertEqual(set(of_kind(manifests, "PodDisruptionBudget")), {"worker", "committer", "web"})
            for name, found in of_kind(manifests, "StatefulSet").items():
                self.assertIn(found["spec"]["serviceName"].removeprefix(f"{NAME}-"), of_kind(manifests, "Service"), name)
        self.assertEqual(seen, set(expected))

    def test_ports_of_services_are_ports_of_containers(self):
        for case in CASES:
            manifests = render(case)
            for name, service in of_kind(manifests, "Service").items():
                for pod in pods(manifests).values():
                    if not selects({"matchLabels": service["spec"]["selector"]}, pod["metadata"]["labels"]):
                        continue
                    numbers = {port["name"]: port["containerPort"] for port in container(pod)["ports"]}
                    for port in service["spec"]["ports"]:
                        self.assertIn(port["targetPort"], numbers, (case, name))
                        if name != "web":
                            self.assertEqual(numbers[port["targetPort"]], port["port"], (case, name))

    def test_web_has_the_ports_that_were_asked_for(self):
        def found(*arguments: str) -> list[tuple]:
            service = of_kind(render(*arguments), "Service")["web"]["spec"]
            return [(port["name"], port["port"], port["targetPort"], port.get("appProtocol")) for port in service["ports"]]

        self.assertEqual(found("minimal"), [("http", 9464, "http", "http")])
        self.assertEqual(found("persons"), [("http", 443, "http", "https"), ("sql", 15432, "sql", None)])
        service = of_kind(render("persons"), "Service")["web"]
        self.assertEqual(service["spec"]["type"], "LoadBalancer")
        self.assertEqual(service["metadata"]["annotations"], {"example.org/internal": "true"})
        self.assertEqual({one["kind"] for one in render("persons")} & {"Ingress", "HTTPRoute", "Gateway"}, set())

    def test_pushes_have_an_address_only_where_they_are_taken(self):
        self.assertIn("push", of_kind(render("persons"), "Service"))
        self.assertNotIn("push", of_kind(render("minimal"), "Service"))
        self.assertNotIn("push", of_kind(render("persons", "--set", "config.push.enabled=false"), "Service"))

    def test_prometheus_asks_every_process_once(self):
        manifests = render("strimzi")
        (monitor,) = of_kind(manifests, "ServiceMonitor").values()
        services = of_kind(manifests, "Service")
        chosen = {name for name, one in services.items() if selects(monitor["spec"]["selector"], one["metadata"]["labels"])}
        self.assertEqual(chosen, {"processes", "web-pods"})
        (endpoint,) = monitor["spec"]["endpoints"]
        self.assertEqual(endpoint["path"], "/metrics")
        for name in chosen:
            self.assertEqual([port["name"] for port in services[name]["spec"]["ports"]], [endpoint["port"]])
            self.assertIs(services[name]["spec"]["publishNotReadyAddresses"], True)
        asked = [pod for name in chosen for pod, one in pods(manifests).items()
                 if selects({"matchLabels": services[name]["spec"]["selector"]}, one["metadata"]["labels"])]
        self.assertEqual(sorted(asked), sorted(PARTS.values()))
        self.assertEqual(monitor["metadata"]["labels"]["release"], "prometheus")
        self.assertEqual(of_kind(render("minimal"), "ServiceMonitor"), {})

    def test_figures_are_kept_once_and_the_age_of_an_epoch_comes_from_committers(self):
        """Else EpochStuck, which fires if nobody tells an age, would be silent as long as web shows an old epoch."""
        names = set(re.findall(r'"(rettidig_\w+)"', source("pipeline/runtime/src/metrics.rs")))
        own = {name for name in names if not re.match("rettidig_(indicator|source|target)_", name)}
        self.assertGreater(len(names - own), 20)
        self.assertIn("absent_over_time(rettidig_epoch_age_seconds", source("helm/alerts/EpochStuck.yaml"))
        for case in ("minimal", "persons"):
            manifests = render(case, "--set", "monitoring.serviceMonitor.enabled=true")
            (monitor,) = of_kind(manifests, "ServiceMonitor").values()
            # Prometheus makes the label of what podTargetLabels names, with "_" for what labels of its own cannot hold.
            label = re.sub(r"\W", "_", *monitor["spec"]["podTargetLabels"])
            for endpoint in monitor["spec"]["endpoints"]:
                (relabeling,) = endpoint["metricRelabelings"]
                self.assertEqual(relabeling["sourceLabels"], [label, "__name__"])
                self.assertEqual(relabeling["action"], "drop")

                def kept(component: str) -> set[str]:
                    return {name for name in names if not re.fullmatch(relabeling["regex"], f"{component};{name}")}

                self.assertEqual(kept("web"), own - {"rettidig_epoch_age_seconds"})
                for component in ROLES.values():
                    self.assertEqual(kept(component), names)

    def test_prometheus_asks_web_over_tls_where_it_has_it(self):
        arguments = ("persons", "--set", "monitoring.serviceMonitor.enabled=true")
        manifests = render(*arguments)
        (monitor,) = of_kind(manifests, "ServiceMonitor").values()
        self.assertEqual(errors(monitor), [])
        found = {one["port"]: one for one in monitor["spec"]["endpoints"]}
        services = of_kind(manifests, "Service")
        self.assertEqual([port["name"] for port in services["processes"]["spec"]["ports"]], ["http"])
        self.assertEqual([port["name"] for port in services["web-pods"]["spec"]["ports"]], ["https"])
        self.assertEqual(set(found), {"http", "https"})
        self.assertNotIn("scheme", found["http"])
        of_tls = {"scheme": "https", "tlsConfig": {"serverName": "rettidig.example.org"}}
        self.assertEqual(found["https"], {**found["http"], "port": "https", **of_tls})
        (monitor,) = of_kind(render(*arguments, "--set", "web.tls.serverName="), "ServiceMonitor").values()
        self.assertEqual(monitor["spec"]["endpoints"][1]["tlsConfig"], {"insecureSkipVerify": True})


class Network(unittest.TestCase):
    def test_nothing_is_allowed_that_no_policy_names(self):
        for case in CASES:
            manifests = render(case)
            policies = of_kind(manifests, "NetworkPolicy")
            deny = policies["deny"]["spec"]
            self.assertEqual(set(deny), {"podSelector", "policyTypes"})
            self.assertEqual(deny["policyTypes"], ["Ingress", "Egress"])
            for pod in pods(manifests).values():
                self.assertTrue(selects(deny["podSelector"], pod["metadata"]["labels"]))
            for name, policy in policies.items():
                for direction, peers in (("ingress", "from"), ("egress", "to")):
                    for found in policy["spec"].get(direction, []):
                        self.assertTrue(found["ports"], name)
                        self.assertTrue(all(port["port"] for port in found["ports"]), name)
                        # A rule without peers is open to everybody: only outwards, and only where the values say so.
                        if not found.get(peers):
                            self.assertEqual(direction, "egress")
                            self.assertIn(name, {"kafka", "sources"})

    def test_brokers_are_reached_at_their_ports(self):
        self.assertEqual(ports(rule(render("minimal"), "kafka", "egress")), [9092])
        self.assertEqual(ports(rule(render("certificates"), "kafka", "egress")), [9094, 9095])
        self.assertEqual(rule(render("strimzi"), "kafka", "egress")["to"], load(values("strimzi"))["networkPolicy"]["kafka"]["to"])
        selector = of_kind(render("ballista"), "NetworkPolicy")["kafka"]["spec"]["podSelector"]
        chosen = {name for name, pod in pods(render("ballista")).items() if selects(selector, pod["metadata"]["labels"])}
        self.assertEqual(chosen, set(ROLES.values()))

    def test_web_reaches_nobody_and_is_reached_where_it_listens(self):
        for case in CASES:
            manifests = render(case)
            labels = pods(manifests)["web"]["metadata"]["labels"]
            chosen = {name: one["spec"] for name, one in of_kind(manifests, "NetworkPolicy").items()
                      if selects(one["spec"]["podSelector"], labels)}
            outwards = {name for name, spec in chosen.items() if spec.get("egress")}
            self.assertEqual(outwards, {"dns"}, case)
            inwards = {name: ports(rule(manifests, name, "ingress")) for name, spec in chosen.items() if spec.get("ingress")}
            expected = {"metrics": [9464]}
            if case in ("strimzi", "persons"):
                expected["web"] = [9464]
            if case == "persons":
                expected["sql"] = [5432]
            self.assertEqual(inwards, expected, case)
        # Those who read tables reach no committer.
        selector = of_kind(render("strimzi"), "NetworkPolicy")["web"]["spec"]["podSelector"]
        chosen = {name for name, pod in pods(render("strimzi")).items() if selects(selector, pod["metadata"]["labels"])}
        self.assertEqual(chosen, {"web"})

    def test_only_connectors_reach_sources(self):
        manifests = render("persons")
        self.assertEqual(ports(rule(manifests, "sources", "egress")), [443, 5432])
        selector = of_kind(manifests, "NetworkPolicy")["sources"]["spec"]["podSelector"]
        chosen = {name for name, pod in pods(manifests).items() if selects(selector, pod["metadata"]["labels"])}
        self.assertEqual(chosen, {"connectors"})

    def test_whoever_is_not_named_reads_nothing(self):
        self.assertNotIn("web", of_kind(render("minimal"), "NetworkPolicy"))
        self.assertNotIn("push", of_kind(render("persons", "--set", "networkPolicy.push.from=null"), "NetworkPolicy"))
        self.assertNotIn("metrics", of_kind(render("minimal", "--set-json", "networkPolicy.metrics.from=[]"), "NetworkPolicy"))
        manifests = render("strimzi")
        self.assertEqual(rule(manifests, "web", "ingress")["from"], load(values("strimzi"))["networkPolicy"]["web"]["from"])
        self.assertEqual(ports(rule(manifests, "web", "ingress")), [9464])
        self.assertNotIn("sql", of_kind(manifests, "NetworkPolicy"))
        given = load(values("persons"))["networkPolicy"]
        for door in ("web", "sql"):
            self.assertEqual(rule(render("persons"), door, "ingress")["from"], given[door]["from"])
        self.assertNotIn("sql", of_kind(render("persons", "--set", "web.sql.enabled=false"), "NetworkPolicy"))
        self.assertEqual(ports(rule(manifests, "metrics", "ingress")), [9464])
        self.assertEqual(ports(rule(render("persons"), "push", "ingress")), [9464])

    def test_it_can_be_left_to_somebody_else(self):
        self.assertEqual(of_kind(render("minimal", "--set", "networkPolicy.enabled=false"), "NetworkPolicy"), {})


class Web(unittest.TestCase):
    def test_without_it_nothing_of_it_is_there(self):
        for case in CASES:
            manifests = render(case, "--set", "web.enabled=false,monitoring.serviceMonitor.enabled=true")
            self.assertNotIn("web", pods(manifests))
            names = [one["metadata"]["name"].removeprefix(f"{NAME}-") for one in manifests]
            self.assertEqual([name for name in names if name.startswith("web") or name == "sql"], [], case)
            (monitor,) = of_kind(manifests, "ServiceMonitor").values()
            (endpoint,) = monitor["spec"]["endpoints"]
            self.assertEqual((endpoint["port"], "metricRelabelings" in endpoint), ("http", False))

    def test_certificate_and_tokens_are_mounted_and_nothing_else_is(self):
        self.assertEqual(secret_mounts(pods(render("persons"))["web"]), {
            "readers": f"{SECRETS}readers", "rettidig.example.org": f"{SECRETS}rettidig.example.org",
        })
        self.assertEqual(secret_mounts(pods(render("minimal", "--set", "secrets={kafka-ca}"))["web"]), {})
        # One Secret may hold all three files; it is mounted once.
        both = ("minimal", "--set", "web.tokensSecret=one,web.tls.existingSecret=one")
        pod = pods(render(*both))["web"]
        self.assertEqual(secret_mounts(pod), {"one": f"{SECRETS}one"})
        self.assertEqual(len([one for one in pod["spec"]["volumes"] if "secret" in one]), 1)

    def test_the_last_pod_that_shows_something_stays(self):
        """minAvailable 1 of one replica would never let a node be emptied."""
        done = template("minimal", "--set", "web.replicas=1")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("web/replicas", done.stderr.replace(".", "/"))


class Ballista(unittest.TestCase):
    def test_it_is_not_there_unless_asked_for(self):
        self.assertEqual(set(pods(render("minimal"))), set(PARTS.values()))

    def test_it_is_never_open(self):
        done = template("ballista", "--set", "networkPolicy.enabled=false")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("leave networkPolicy.enabled", done.stderr)
        manifests = render("ballista")
        found = rule(manifests, "ballista", "ingress")
        allowed = {name for name, pod in pods(manifests).items()
                   if any(selects(peer["podSelector"], pod["metadata"]["labels"]) for peer in found["from"])}
        self.assertEqual(allowed, {"committer", "ballista-scheduler", "ballista-executor"})
        self.assertTrue(all(set(peer) == {"podSelector"} for peer in found["from"]))

    def test_ports_and_places_fit_together(self):
        manifests = render("ballista")
        found = {name: container(pod) for name, pod in pods(manifests).items()}
        executor, scheduler = found["ballista-executor"], found["ballista-scheduler"]
        listening = {port["containerPort"] for one in (executor, scheduler) for port in one["ports"]}
        for name, direction in (("ballista", "ingress"), ("ballista-out", "egress")):
            self.assertEqual(set(ports(rule(manifests, name, direction))), listening)
        options = dict(zip(executor["args"][2::2], executor["args"][3::2]))
        service = of_kind(manifests, "Service")["ballista-scheduler"]
        self.assertEqual(options["--scheduler"], f"{service['metadata']['name']}:{service['spec']['ports'][0]['port']}")
        self.assertEqual((options["--threads"], options["--memory-mib"]), ("4", "8192"))
        # It reads the log under the path that whoever asks has it at, and writes to a volume of its own.
        mounts = {one["mountPath"]: one for one in executor["volumeMounts"]}
        self.assertIs(mounts["/data"]["readOnly"], True)
        self.assertIn(options["--work"], mounts)
        # It tells executors the address it listens at: not one that means "here" to everybody.
        self.assertEqual(scheduler["args"], ["ballista", "scheduler", "--bind", "$(POD_IP):50050"])


if __name__ == "__main__":
    unittest.main()
