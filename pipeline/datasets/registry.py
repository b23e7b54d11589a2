"""The data sets: the exact bytes of their files, their classes, their licences, and their mirrors.

tensorflow-datasets publishes the SHA-256 of MNIST, Fashion-MNIST, KMNIST and EMNIST's archive
(url_checksums). Two independent programs pin the same SHA-256 for EMNIST's four files. The SHA-256 of QMNIST's labels
were computed from its repository; for its images, torchvision publishes only the MD5. These checksums decide what is
accepted, so a mirror need not be trusted. The most reliable mirror comes first.
"""

from typing import NamedTuple

from pipeline.base.paths import bundled

BUNDLED_DIGITS = bundled("examples/digits/published")

NAMES = {
    "train_images": "train-images-idx3-ubyte.gz",
    "train_labels": "train-labels-idx1-ubyte.gz",
    "test_images": "t10k-images-idx3-ubyte.gz",
    "test_labels": "t10k-labels-idx1-ubyte.gz",
}


class File(NamedTuple):
    """A file as published, and its name in data/raw: size in bytes, 0 if unknown; SHA-256, or MD5 if that is all."""

    name: str
    bytes: int
    sha256: str
    path: str = ""  # below a mirror's URL or in the archive, if it is not `name`
    md5: str = ""

    @property
    def checksum(self) -> tuple[str, str]:
        """Algorithm and hexadecimal digits."""
        return ("sha256", self.sha256) if self.sha256 else ("md5", self.md5)

    @property
    def expected(self) -> str:
        """For a message: '28881 bytes with SHA-256 3552...'."""
        size = f"{self.bytes} bytes" if self.bytes else "a file"
        return f"{size} with {'SHA-256' if self.sha256 else 'MD5'} {self.checksum[1]}"


class DataSet(NamedTuple):
    """Four files that belong together; image_shape is (Y, X), class_names are in label order, mirrors are folder URLs.

    framed: each picture shows one digit, scaled and centred as in MNIST. transposed: rows and columns are exchanged in
    the files. archive: the zip file that holds the four.
    """

    title: str
    homepage: str
    licence: str
    image_shape: tuple[int, int]
    class_names: tuple[str, ...]
    mirrors: tuple[str, ...]
    files: dict[str, File]
    framed: bool = True
    transposed: bool = False
    archive: File | None = None


def published(*contents: tuple[int, str] | tuple[int, str, str] | tuple[int, str, str, str]) -> dict[str, File]:
    """Four files under MNIST's names, from what File takes: train images and labels, test images and labels."""
    return {role: File(name, *content) for (role, name), content in zip(NAMES.items(), contents, strict=True)}


def emnist(split: str, title: str, classes: str, *sha256: str) -> DataSet:
    """One split in EMNIST's archive, by the SHA-256 of its four files; nobody publishes their sizes."""
    paths = [f"gzip/emnist-{split}-{name.replace('t10k', 'test')}" for name in NAMES.values()]
    return DataSet(
        title=title,
        homepage="https://www.nist.gov/itl/products-and-services/emnist-dataset",
        licence="none stated; derived from NIST Special Database 19, Cohen, Afshar, Tapson & van Schaik 2017",
        image_shape=(28, 28),
        class_names=tuple(classes),
        mirrors=("https://biometrics.nist.gov/cs_links/EMNIST/",),
        files=published(*((0, digest, path) for digest, path in zip(sha256, paths, strict=True))),
        transposed=True,
        archive=File("gzip.zip", 561_753_746, "fb9bb67e33772a9cc0b895e4ecf36d2cf35be8b709693c3564cea2a019fcda8e"),
    )


DATASETS = {
    "mnist": DataSet(
        title="MNIST",
        homepage="http://yann.lecun.com/exdb/mnist/",
        licence="CC BY-SA 3.0 by common account; its authors' page named none",
        image_shape=(28, 28),
        class_names=tuple("0123456789"),
        mirrors=(
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
            "https://raw.githubusercontent.com/fgnt/mnist/master/",
        ),
        files=published(
            (9_912_422, "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"),
            (28_881, "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"),
            (1_648_877, "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"),
            (4_542, "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"),
        ),
    ),
    "fashion-mnist": DataSet(
        title="Fashion-MNIST",
        homepage="https://github.com/zalandoresearch/fashion-mnist",
        licence="MIT",
        image_shape=(28, 28),
        class_names=(
            *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
            *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
        ),
        mirrors=(
            "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
            "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
        ),
        files=published(
            (26_421_880, "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"),
            (29_515, "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"),
            (4_422_102, "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"),
            (5_148, "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"),
        ),
        framed=False,  # photos of clothes in grey, no strokes
    ),
    "kmnist": DataSet(
        title="Kuzushiji-MNIST",
        homepage="https://github.com/rois-codh/kmnist",
        licence='CC BY-SA 4.0, "KMNIST Dataset" (created by CODH), adapted from "Kuzushiji Dataset" (NIJL and others)',
        image_shape=(28, 28),
        class_names=("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"),
        mirrors=("https://codh.rois.ac.jp/kmnist/dataset/kmnist/",),
        files=published(
            (18_165_135, "51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4"),
            (29_497, "e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17"),
            (3_041_136, "edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5"),
            (5_120, "20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c"),
        ),
    ),
    "emnist-digits": emnist(
        "digits",
        "EMNIST, digits",
        "0123456789",
        "f7c95004d14d81af89522e67d8f0c781dfb3bd544181c81bfe1eb6b41c35b726",
        "6638a6ff5fe2eefd9cca2471995b46c82986b8e4b2a70d2f5ce8e05d7edb319e",
        "20ebe43509264f7639d37c835a3f0b009e90b29e00a099a03101abe1644a3f63",
        "bad1834c45d5988e270b99d43b13edc3fd898f658ffbc2caf2846ef27f7b05b0",
    ),
    "emnist-balanced": emnist(
        "balanced",
        "EMNIST, balanced digits and letters",
        "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabdefghnqrt",  # the other small letters count as capitals
        "74295e75e4e9fa2c102147460ee7eb763653d5132d883a84fb88932bfb8d2db4",
        "b46d41e5156a0a8aaaa4d18979fdd1588850fa8571018acffd5d93b325a7d6ed",
        "117fc12b015e37ea98bfb2cbba3f77c3782c056cdbd219b87abfc8661d7135db",
        "a67cac948379b67270b9a4d0a01c8ec661598accf2f2b1964340b7c83cb175cd",
    ),
    "qmnist": DataSet(
        title="QMNIST",
        homepage="https://github.com/facebookresearch/qmnist",
        licence="BSD-style, in its repository; Yadav & Bottou 2019",
        image_shape=(28, 28),
        class_names=tuple("0123456789"),
        mirrors=("https://raw.githubusercontent.com/facebookresearch/qmnist/master/",),
        files=published(
            (0, "", "qmnist-train-images-idx3-ubyte.gz", "ed72d4157d28c017586c42bc6afe6370"),
            (
                463_024,
                "2c05dc77f6b916b38e455e97ab129a42a444f3dbef09b278a366f82904e0dd9f",
                "qmnist-train-labels-idx2-int.gz",
            ),
            (0, "", "qmnist-test-images-idx3-ubyte.gz", "1394631089c404de565df7b7aeaf9412"),
            (
                526_800,
                "9fbcbe594c3766fdf4f0b15c5165dc0d1e57ac604e01422608bb72c906030d06",
                "qmnist-test-labels-idx2-int.gz",
            ),
        ),
    ),
    "digits": DataSet(
        title="Handwritten digits, 8×8",
        homepage="https://doi.org/10.24432/C50P49",
        licence="CC BY 4.0, E. Alpaydin and C. Kaynak",
        image_shape=(8, 8),
        class_names=tuple("0123456789"),
        mirrors=(BUNDLED_DIGITS.as_uri() + "/",),
        files=published(
            (37_246, "4a46b5c7247305a8e3e64f55782727861548ce1c2173ed359128c9a9a5e246c3"),
            (135, "bac3ef2a95d391bd55e759ec6873daf523c40b72e7ce0d82cbefbc4e2b0ef6f1"),
            (7_390, "10868e464c3d87184e49a77d94d439c7ccb2887d82d063535aa85901edbeb6cb"),
            (116, "15b5c1aeb8adaa94e21bd799ec2d3e4e3239f4a2fde97635011f17c304571dd3"),
        ),
    ),
}
