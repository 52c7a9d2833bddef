// Package arcane holds the files of this repository that are part of the operator's binary, so that its image needs no
// files beside it.
package arcane

import "embed"

// StreamPluginChart is the Helm chart that the operator renders for each StreamPlugin, below helm-charts/stream-plugin.
//
//go:embed all:helm-charts/stream-plugin
var StreamPluginChart embed.FS

// Watches is watches.yaml: which kind the operator's Helm half reconciles, with which chart, how often.
//
//go:embed watches.yaml
var Watches []byte
