// Certificates for development.

#include <troupe/base/error.hpp>
#include <troupe/io/internal/tls_context.hpp>
#include <troupe/io/internal/tls_random.hpp>
#include <troupe/io/tls.hpp>

#include <arpa/inet.h>
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <memory>
#include <string>

namespace troupe {

namespace {

template <auto Free>
struct FreedBy {
    template <class T>
    void operator()(T* what) const noexcept {
        Free(what);
    }
};
using Key = std::unique_ptr<EVP_PKEY, FreedBy<&EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, FreedBy<&X509_free>>;
using Extension = std::unique_ptr<X509_EXTENSION, FreedBy<&X509_EXTENSION_free>>;
using Number = std::unique_ptr<BIGNUM, FreedBy<&BN_free>>;
using Bio = std::unique_ptr<BIO, FreedBy<&BIO_free_all>>;

constexpr long kAYear = 365L * 24 * 60 * 60;
constexpr long kAnHour = 60L * 60;  // clocks differ a little

std::unexpected<Error> failed() {
    return error(TlsErrc::bad_certificate,
                 "making a certificate: " + io_internal::tls_problem("OpenSSL does not say why"));
}

bool is_address(const std::string& name) {
    std::array<unsigned char, sizeof(in6_addr)> bytes{};
    return inet_pton(AF_INET, name.c_str(), bytes.data()) == 1 ||
           inet_pton(AF_INET6, name.c_str(), bytes.data()) == 1;
}

bool is_name(const std::string& name) {
    return !name.empty() && name.size() <= 64 && std::all_of(name.begin(), name.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '-' || c == '.' || c == '*';
    });
}

/// "DNS:localhost,IP:127.0.0.1"
Result<std::string> alternative_names(const std::vector<std::string>& names) {
    std::string text;
    for (const std::string& name : names) {
        const bool address = is_address(name);
        if (!address && !is_name(name)) {
            return error(TlsErrc::bad_certificate, "'" + name + "' is no name for a certificate");
        }
        text += (text.empty() ? "" : ",") + std::string(address ? "IP:" : "DNS:") + name;
    }
    if (text.empty()) return error(TlsErrc::bad_certificate, "a certificate is for some name");
    return text;
}

bool add_extension(X509* certificate, int kind, const char* value) {
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, certificate, certificate, nullptr, nullptr, 0);
    const Extension extension(X509V3_EXT_conf_nid(nullptr, &context, kind, value));
    return extension != nullptr && X509_add_ext(certificate, extension.get(), -1) == 1;
}

bool fill(X509* certificate, EVP_PKEY* key, const std::string& subject, const std::string& names) {
    const Number serial(BN_new());
    if (BN_rand(serial.get(), 127, BN_RAND_TOP_ANY, BN_RAND_BOTTOM_ANY) != 1 ||
        BN_to_ASN1_INTEGER(serial.get(), X509_get_serialNumber(certificate)) == nullptr) {
        return false;
    }
    X509_NAME* const name = X509_get_subject_name(certificate);
    const auto* const text = reinterpret_cast<const unsigned char*>(subject.c_str());
    return X509_set_version(certificate, X509_VERSION_3) == 1 &&
           X509_gmtime_adj(X509_getm_notBefore(certificate), -kAnHour) != nullptr &&
           X509_gmtime_adj(X509_getm_notAfter(certificate), kAYear) != nullptr &&
           X509_set_pubkey(certificate, key) == 1 &&
           X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, text, -1, -1, 0) == 1 &&
           X509_set_issuer_name(certificate, name) == 1 &&
           add_extension(certificate, NID_basic_constraints, "critical,CA:FALSE") &&
           add_extension(certificate, NID_key_usage, "critical,digitalSignature") &&
           add_extension(certificate, NID_ext_key_usage, "serverAuth,clientAuth") &&
           add_extension(certificate, NID_subject_key_identifier, "hash") &&
           add_extension(certificate, NID_subject_alt_name, names.c_str()) &&
           X509_sign(certificate, key, EVP_sha256()) != 0;
}

std::string text_of(BIO* out) {
    char* text = nullptr;
    const long size = BIO_get_mem_data(out, &text);
    return std::string(text, static_cast<std::size_t>(std::max(size, 0L)));
}

}  // namespace

Result<TlsCertificate> TlsCertificate::self_signed(const std::vector<std::string>& names) {
    TROUPE_TRY(const std::string alternatives, alternative_names(names));
    ERR_clear_error();
    const io_internal::OpenSslAsks asks;
    const io_internal::ChanceOf chance(io_internal::simulating_engine());
    const Key key(EVP_EC_gen("P-256"));
    const Certificate certificate(X509_new());
    if (key == nullptr || certificate == nullptr ||
        !fill(certificate.get(), key.get(), names.front(), alternatives)) {
        return failed();
    }
    const Bio chain(BIO_new(BIO_s_mem()));
    const Bio secret(BIO_new(BIO_s_mem()));
    if (PEM_write_bio_X509(chain.get(), certificate.get()) != 1 ||
        PEM_write_bio_PrivateKey(secret.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) !=
            1) {
        return failed();
    }
    return TlsCertificate{text_of(chain.get()), text_of(secret.get())};
}

}  // namespace troupe
