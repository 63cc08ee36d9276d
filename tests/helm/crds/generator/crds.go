// Package crd names the module whose types are turned into CustomResourceDefinitions.
package crd

import _ "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
