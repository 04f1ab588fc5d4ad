package page

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"net/http"
	"path"
	"time"
)

//go:embed assets
var assetFiles embed.FS

//go:embed templates
var templateFiles embed.FS

// assetsPath is the path of the assets. It contains a hash of all of them, so that browsers keep them until they change.
var assetsPath = "/assets/" + hashOf(assetFiles, "assets") + "/"

func hashOf(files fs.FS, dir string) string {
	h := sha256.New()
	entries, err := fs.ReadDir(files, dir)
	if err != nil {
		panic(err) // The files are embedded.
	}
	for _, e := range entries {
		content, err := fs.ReadFile(files, path.Join(dir, e.Name()))
		if err != nil {
			panic(err)
		}
		h.Write([]byte(e.Name()))
		h.Write(content)
	}
	return hex.EncodeToString(h.Sum(nil)[:6])
}

// assetTypes are the media types by extension, whatever the machine thinks of them.
var assetTypes = map[string]string{
	".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml",
}

func serveAsset(w http.ResponseWriter, r *http.Request) {
	name := path.Base(r.URL.Path)
	content, err := assetFiles.ReadFile("assets/" + name)
	if err != nil || r.URL.Path != assetsPath+name {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", assetTypes[path.Ext(name)])
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(content))
}
