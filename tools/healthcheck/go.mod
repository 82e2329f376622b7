module groundwork.dev/tools/healthcheck

go 1.25.0
