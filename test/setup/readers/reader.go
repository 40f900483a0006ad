// As reader.c does, by gokrb5: `reader FILE`.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"os"

	"github.com/jcmturner/gokrb5/v8/credentials"
)

func read(path string) string {
	ccache, err := credentials.LoadCCache(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "-\t-"
	}
	if err != nil {
		return "read: " + err.Error()
	}
	line := ccache.DefaultPrincipal.PrincipalName.PrincipalNameString() + "@" + ccache.DefaultPrincipal.Realm + "\t"
	for _, each := range ccache.Credentials {
		hash := fnv.New32a()
		hash.Write(each.Ticket)
		line += fmt.Sprintf("%s@%s#%08x ", each.Server.PrincipalName.PrincipalNameString(), each.Server.Realm, hash.Sum32())
	}
	return line
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		fmt.Println(read(os.Args[1]))
	}
}
