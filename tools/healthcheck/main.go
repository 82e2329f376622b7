// Asks one URL, and succeeds when the answer is one of success: the health check of containers that have no shell.
package main

import (
	"fmt"
	"net/http"
	"os"
	"time"
)

const timeout = 3 * time.Second

func main() {
	if err := check(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func check(arguments []string) error {
	if len(arguments) != 1 {
		return fmt.Errorf("usage: healthcheck <url>")
	}
	client := http.Client{Timeout: timeout}
	answer, err := client.Get(arguments[0])
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode < 200 || answer.StatusCode > 299 {
		return fmt.Errorf("%s answered %s", arguments[0], answer.Status)
	}
	return nil
}
