package main

// This file excuses the rules that no test can miss, each with its reason.

// excused are switches that change nothing that anybody is told.
var excused = map[string]string{
	"compile: err != nil (2)": "what could be decoded as a schema can be converted",
	"render: !ok":             "a StreamSpec is always written as an object",
	`Forbidden: all = append(all, "has "+result.ForbiddenReason)`: "each check of the library as it is now gives a detail",
}
