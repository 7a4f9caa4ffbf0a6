module github.com/cronagent/cronagent/bench/schedule

go 1.26.0

require (
	github.com/adhocore/gronx v1.20.4
	github.com/cronagent/cronagent v0.0.0
	github.com/hashicorp/cronexpr v1.1.3
	github.com/robfig/cron/v3 v3.0.1
)

replace github.com/cronagent/cronagent => ../..
